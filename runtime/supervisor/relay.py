"""Relays the children's output in the one format of log lines."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from structlog.typing import EventDict

from runtime.logs import renderers
from runtime.redaction import without_passwords
from runtime.steady_output import make_non_blocking

Show = Callable[[str, bytes], None]
"""Takes a part's name and one line of its output, without the line's end."""


class LogRelay:
    """Passes lines that are log events; any other line (a crash, a stray print) is turned into one."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or make_non_blocking(sys.stderr)
        self._renderers = renderers(self._stream)

    def __call__(self, part: str, line: bytes) -> None:
        event = _event(line)
        if event is not None and not self._stream.isatty():
            self._stream.write(without_passwords(line.decode(errors="replace")) + "\n")
        else:
            self._stream.write(self._render(event or _raw(part, line)) + "\n")
        self._stream.flush()

    def _render(self, event: EventDict) -> str:
        rendered: Any = event
        for processor in self._renderers:
            rendered = processor(None, event.get("level", "info"), rendered)
        return str(rendered)


def _event(line: bytes) -> EventDict | None:
    if not line.startswith(b"{"):
        return None
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return event if {"event", "timestamp", "level"} <= event.keys() else None


def _raw(part: str, line: bytes) -> EventDict:
    said = line.decode(errors="replace").rstrip()
    return {"event": said, "level": "info", "timestamp": datetime.now(UTC).isoformat(), "part": part}

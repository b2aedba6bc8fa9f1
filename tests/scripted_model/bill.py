"""The provider's own bill: one entry for each request it worked on, kept in a file if asked."""

from collections.abc import Iterator
from pathlib import Path
from time import time
from typing import Any, BinaryIO

import orjson

Entry = dict[str, Any]
"""`n, request_id, model, prompt_tokens, completion_tokens, state, at, tools, shape, calls`; `at` is in Unix seconds.

`tools` are the names of those that were offered, `shape` the name of the schema that the answer was to follow,
`calls` the names of the tools that were asked for.
`state` is `started`, then `finished`, `cut` (the provider broke off), `client_gone` or `refused` (no charge).
"""


class Bill:
    """Written at the start and the end of each request; a file holds both lines, and the later one counts."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self.entries: list[Entry] = []
        if path is not None:
            self.entries = list(read(path))
            self._file = path.open("ab", buffering=0)

    @property
    def next(self) -> int:
        """The number of the next entry."""
        return len(self.entries) + 1

    def start(self, *, request_id: str | None, model: str, prompt_tokens: int, **more: Any) -> Entry:
        entry: Entry = {
            "n": self.next,
            "request_id": request_id,
            "model": model,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": 0,
            "state": "started",
            "at": time(),
            **more,
        }
        self.entries.append(entry)
        self._write(entry)
        return entry

    def end(self, entry: Entry, state: str) -> None:
        entry["state"] = state
        self._write(entry)

    def clear(self) -> None:
        self.entries.clear()
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _write(self, entry: Entry) -> None:
        if self._file is not None:
            self._file.write(orjson.dumps(entry) + b"\n")


def read(path: Path) -> Iterator[Entry]:
    """The entries of a bill's file, each as it last stood; a last line that was cut by a kill is left out."""
    if not path.exists():
        return
    last: dict[int, Entry] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            entry = orjson.loads(line)
            last[entry["n"]] = entry
    yield from last.values()

"""One format of log lines: columns with colours on a terminal, JSON anywhere else."""

import json
import logging
import sys
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TextIO

import orjson
import structlog
from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter, LogLevelColumnFormatter
from structlog.typing import EventDict, Processor, WrappedLogger

from domain.errors import DomainError
from runtime.redaction import without_passwords
from runtime.steady_output import make_non_blocking

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_QUIET = ("aiohttp.access", "asyncio", "httpcore", "httpx2", "openai", "uvicorn.access", "uvicorn.error")
_SILENT = ("psycopg.pool",)  # a line for every failed attempt to connect, which its callers are told of
_PART_WIDTH = 11
_EVENT_WIDTH = 28


def configure_logging(
    level: str, part: str, stream: TextIO | None = None, processors: Sequence[Processor] = ()
) -> None:
    """Write all log events of structlog and the standard library to `stream` (standard error), marked with `part`.

    `level` is `debug`, `info`, `warning` or `error`; `processors` see each event before it is rendered. A broken or
    blocked standard error does not stop the process.
    """
    stream = stream or make_non_blocking(sys.stderr)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _PartAdder(part),
        *processors,
    ]
    structlog.configure(
        processors=[*shared, *renderers(stream)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _configure_standard_library(_LEVELS[level], shared, stream)
    sys.excepthook = _log_uncaught


def _configure_standard_library(level: int, shared: list[Processor], stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers(stream)],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Log an uncaught exception as one event; a refusal is logged by its message."""
    if isinstance(error, DomainError):
        structlog.get_logger().error(error.message, refused=kind.__name__, **error.details)
    elif isinstance(error, Exception):
        structlog.get_logger().critical("crashed", exc_info=(kind, error, trace))
    else:
        sys.__excepthook__(kind, error, trace)


def renderers(stream: TextIO) -> list[Processor]:
    """Return the last processors of a chain: they render an event as a line for `stream`."""
    if stream.isatty():
        console = ConsoleRenderer(columns=_columns(), exception_formatter=structlog.dev.plain_traceback)
        return [_local_time, console, _without_passwords]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(serializer=_json),
        _without_passwords,
    ]


def _without_passwords(_logger: WrappedLogger, _method: str, line: Any) -> str:
    return without_passwords(str(line))


class _PartAdder:
    """Adds the part's name to events."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("part", self._part)
        event.pop("color_message", None)  # uvicorn's coloured duplicate of the message
        return event


def _local_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Convert the time to the local time zone, for people at a terminal."""
    event["timestamp"] = datetime.fromisoformat(event["timestamp"]).astimezone().strftime("%H:%M:%S")
    return event


def _columns() -> list[Column]:
    dim, bright, plain = "\033[2m", "\033[1m", "\033[0m"
    levels = ConsoleRenderer.get_default_level_styles()

    def bare(style: str, width: int = 0) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, style, plain, value_repr=str, width=width)

    return [
        Column("timestamp", bare(dim)),
        Column("level", LogLevelColumnFormatter(levels, plain, 7)),
        Column("part", bare("\033[36m", _PART_WIDTH)),
        Column("event", bare(bright, _EVENT_WIDTH)),
        Column("", KeyValueColumnFormatter(dim, "", plain, value_repr=str)),
    ]


def _json(event: Any, **_options: Any) -> str:
    try:
        return orjson.dumps(event, default=str).decode()
    except TypeError:  # integers beyond 64 bits, lone surrogates: a log line is never lost for them
        return json.dumps(event, default=str)

"""Log events: with the ids of the current span, and over OTLP."""

from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

_SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_OWN = "opentelemetry"
"""Loggers of the exporters: what they say about a collector that is away is not sent to it."""
_LONGEST = 8_000
"""Limit on one attribute, in characters."""
_FIELDS = ("event", "level", "timestamp", "exc_info", "_record", "_from_structlog")


def add_trace_ids(_logger: Any, _method: str, event: Any) -> Any:
    """Add `trace_id` and `span_id` to an event of structlog that is logged inside a span."""
    context = get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event


class OtlpLogs:
    """A processor of structlog that also hands each event to a logger of OpenTelemetry.

    `redacted` removes secrets from a text. The current span's ids are part of the record.
    """

    def __init__(self, logger: Logger, redacted: Callable[[str], str]) -> None:
        self._logger = logger
        self._redacted = redacted

    def __call__(self, _logger: Any, method: str, event: Any) -> Any:
        record = event.get("_record")
        if record is not None and record.name.startswith(_OWN):
            return event
        level = str(event.get("level", method))
        self._logger.emit(
            LogRecord(
                timestamp=time_ns(),
                severity_number=_SEVERITIES.get(level, SeverityNumber.INFO),
                severity_text=level.upper(),
                body=self._redacted(str(event.get("event", "")))[:_LONGEST],
                attributes=self._attributes(event),
            )
        )
        return event

    def _attributes(self, event: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
        return {
            str(name): value if isinstance(value, bool | int | float) else self._redacted(str(value))[:_LONGEST]
            for name, value in event.items()
            if name not in _FIELDS and value is not None
        }

"""The events of a request, checked: a request with one bad event is refused as a whole, with all that is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from api.http.request_context import RequestContext
from api.telemetry import cloud_events
from api.telemetry.schemas import MAX_METADATA, MOST_EVENTS, TelemetryEventBody
from domain.errors import Invalid
from domain.telemetry.event import NO_AGENT, TelemetryEvent, key_of_id, key_of_request, key_of_source

AHEAD = timedelta(minutes=5)
"""How far ahead of this platform a sender's clock may be."""

_EVENTS = TypeAdapter(list[TelemetryEventBody])
_MOST_ERRORS = 2 * MOST_EVENTS


@dataclass(frozen=True, slots=True)
class Reception:
    """When a request arrived, the age that its events may have, and its idempotency key among all others."""

    at: datetime
    oldest: timedelta
    key: str | None


def parse_events(request: RequestContext, reception: Reception) -> list[TelemetryEvent]:
    """Return the events of a request.

    Raises:
        Invalid: an event is not valid, or there are none or too many; `details.events` has the indexes of the bad ones.
        Malformed: an attribute of a CloudEvent in binary mode is not UTF-8.
    """
    is_binary = cloud_events.is_binary(request)
    sent = [cloud_events.from_headers(request)] if is_binary else _to_list(request.json)
    try:
        if cloud_events.is_cloud_event(request):
            return _from_cloud_events(sent, reception)
        return _to_events(_validate(sent), [None] * len(sent), reception)
    except _BadEventsError as bad:
        raise _refusal(bad.faults, len(sent), is_list=isinstance(request.json, list) and not is_binary) from None


def _to_list(body: Any) -> list[Any]:
    events = body if isinstance(body, list) else [body]
    if not 1 <= len(events) <= MOST_EVENTS:
        reason = f"a list has 1 to {MOST_EVENTS} events"
        raise Invalid(reason, field="body", reason=reason)
    return events


def _validate(sent: list[Any]) -> list[TelemetryEventBody]:
    try:
        return _EVENTS.validate_python(sent)
    except ValidationError as error:
        raise _BadEventsError(_faults(error)) from None


def _from_cloud_events(sent: Sequence[Any], reception: Reception) -> list[TelemetryEvent]:
    plain, faults = [], []
    for index, each in enumerate(sent):
        try:
            plain.append(cloud_events.to_event(each))
        except ValidationError as error:
            faults += _faults(error, index)
    if faults:
        raise _BadEventsError(faults)
    keys = [key_of_source(each["source"], each["id"]) for each in sent]
    return _to_events(_validate(plain), keys, reception)


def _to_events(
    bodies: Sequence[TelemetryEventBody], keys: Sequence[bytes | None], reception: Reception
) -> list[TelemetryEvent]:
    events, faults = [], []
    first, last = reception.at - reception.oldest, reception.at + AHEAD
    for index, (body, key) in enumerate(zip(bodies, keys, strict=True)):
        at, metadata = body.timestamp, orjson.dumps(body.metadata) if body.metadata else None
        if at is not None and not first <= at <= last:
            when = f"at most {reception.oldest.days} days ago and {AHEAD.seconds // 60} minutes ahead"
            faults.append(_Fault(index, "timestamp", f"must be {when}", "timestamp_out_of_range"))
        elif metadata is not None and len(metadata) > MAX_METADATA:
            faults.append(_Fault(index, "metadata", f"exceeds {MAX_METADATA} bytes of JSON", "too_long"))
        else:
            events.append(_to_event(body, index, key, metadata, reception))
    if faults:
        raise _BadEventsError(faults)
    return events


def _to_event(
    body: TelemetryEventBody, index: int, key: bytes | None, metadata: bytes | None, reception: Reception
) -> TelemetryEvent:
    if key is None and body.event_id is not None:
        key = key_of_id(body.event_id)
    elif key is None and reception.key is not None:
        key = key_of_request(reception.key, index)
    at = body.timestamp
    return TelemetryEvent(
        reception.at if at is None else at.astimezone(UTC),
        key,
        at is not None,
        body.event_type,
        body.agent_id or NO_AGENT,
        body.duration_ms,
        body.tokens_used,
        body.success,
        None if metadata is None else metadata.decode(),
    )


@dataclass(frozen=True, slots=True)
class _Fault:
    index: int
    field: str
    reason: str
    kind: str


class _BadEventsError(Exception):
    """Some events are not valid."""

    def __init__(self, faults: Sequence[_Fault]) -> None:
        super().__init__()
        self.faults = faults


def _faults(error: ValidationError, index: int | None = None) -> list[_Fault]:
    """Return what is wrong with events; without an index the location begins with it."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [_fault(each, index) for each in found]


def _fault(error: Mapping[str, Any], index: int | None) -> _Fault:
    names = list(error["loc"])
    where = names.pop(0) if index is None else index
    return _Fault(where, ".".join(str(name) for name in names), error["msg"][:500], error["type"])


def _refusal(faults: Iterable[_Fault], sent: int, *, is_list: bool) -> Invalid:
    """Return the refusal of a request. The values are not repeated: they may be secret or large.

    The fields of a list begin with the index of their event.
    """
    ordered = sorted(faults, key=lambda fault: fault.index)
    bad = list(dict.fromkeys(fault.index for fault in ordered))
    errors = [
        {
            "field": _path(fault, is_list=is_list),
            "reason": fault.reason,
            "location": "body",
            "type": fault.kind,
        }
        for fault in ordered[:_MOST_ERRORS]
    ]
    message = f"{len(bad)} of {sent} events are not valid; none was accepted"
    return Invalid(message, field=errors[0]["field"], reason=errors[0]["reason"], errors=errors, events=bad)


def _path(fault: _Fault, *, is_list: bool) -> str:
    names = [str(fault.index)] if is_list else []
    return ".".join([*names, *filter(None, [fault.field])])[:200] or "body"

"""CloudEvents 1.0 over HTTP: structured, batched and binary, as events of telemetry.

`type` is the event's type, `time` its time, `source` and `id` together its id. `data` has the other fields under their
own names; `subject` is the agent if `data` names none. All else is metadata: further members of `data`, and extension
attributes.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic import TypeAdapter

from api.http.request_context import RequestContext
from api.telemetry.schemas import CloudEventBody
from domain.errors import Malformed

STRUCTURED = "application/cloudevents+json"
BATCHED = "application/cloudevents-batch+json"
_PREFIX = b"ce-"
_FIELDS = ("duration_ms", "tokens_used", "success", "agent_id")
_CLOUD_EVENT = TypeAdapter(CloudEventBody)


def is_cloud_event(request: RequestContext) -> bool:
    """Return true if the request is a CloudEvent, or a batch of them, in any of the three modes."""
    return is_binary(request) or media_type(request) in {STRUCTURED, BATCHED}


def is_binary(request: RequestContext) -> bool:
    """Return true if the attributes are headers; the body is the data then."""
    return b"ce-specversion" in request.given and media_type(request) not in {STRUCTURED, BATCHED}


def media_type(request: RequestContext) -> str:
    return request.given.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


def from_headers(request: RequestContext) -> dict[str, Any]:
    """Return the CloudEvent of a request in binary mode.

    Raises:
        Malformed: an attribute is not UTF-8.
    """
    attributes: dict[str, Any] = {}
    for name, value in request.given.items():
        if name.startswith(_PREFIX):
            attributes[name.removeprefix(_PREFIX).decode("latin-1")] = _decode(name, value)
    return {**attributes, "data": request.json}


def to_event(found: Any) -> dict[str, Any]:
    """Return a CloudEvent as the fields of an event of telemetry; its id is that of its source.

    Raises:
        pydantic.ValidationError: it is no CloudEvent.
    """
    event = _CLOUD_EVENT.validate_python(found)
    data = dict(event.data) if isinstance(event.data, Mapping) else {}
    fields = {name: data.pop(name) for name in _FIELDS if name in data}
    metadata = data.pop("metadata", {})
    rest = data if isinstance(event.data, Mapping) or event.data is None else {"data": event.data}
    if not isinstance(metadata, Mapping):
        rest, metadata = {**rest, "metadata": metadata}, {}
    if fields.get("agent_id") is None:
        fields["agent_id"] = event.subject
    return {
        **fields,
        "event_type": event.type,
        "timestamp": event.time,
        "metadata": {**(event.model_extra or {}), **rest, **metadata},
    }


def _decode(name: bytes, value: bytes) -> str:
    try:
        return unquote(value.decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise Malformed(f"the header {name.decode('latin-1')} is not percent-encoded UTF-8") from None

"""One telemetry event, and the key by which a repeat of it is known."""

from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

NO_AGENT = ""
"""Stands for the agent of events that name none."""

_KEY_BYTES = 16


class TelemetryEvent(NamedTuple):
    """An event as it is stored.

    `key` is none where nothing tells a repeat; `is_timed` if the sender said when it happened, else `at` is its
    arrival. `metadata` is JSON. A tuple, because a thousand are made for each request.
    """

    at: datetime
    key: bytes | None
    is_timed: bool
    event_type: str
    agent_id: str
    duration_ms: float | None
    tokens_used: int | None
    success: bool | None
    metadata: str | None


def key_of_id(event_id: str) -> bytes:
    """Return the key of an event that its sender calls `event_id`."""
    return _digest("id", event_id)


def key_of_source(source: str, event_id: str) -> bytes:
    """Return the key of a CloudEvent, whose id is unique within its source."""
    return _digest("cloudevent", source, event_id)


def key_of_request(idempotency_key: str, index: int) -> bytes:
    """Return the key of an event without an id that came in a request which can be repeated."""
    return _digest("request", idempotency_key, str(index))


def _digest(*parts: str) -> bytes:
    return sha256("\0".join(parts).encode()).digest()[:_KEY_BYTES]

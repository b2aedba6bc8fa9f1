"""Properties of a node attempt: its owner, its place in the run, its idempotency keys, its event fields."""

from datetime import datetime
from typing import Any

from activities.graphflow.messages import NodeAttempt
from domain.events import Cause
from domain.tenant_ids import tenant_of


def owner(spot: NodeAttempt) -> str:
    """Return the execution that the attempt's texts belong to."""
    return spot.asked.execution_id


def place(spot: NodeAttempt) -> tuple[str, int, int]:
    """Return (node, iteration, attempt)."""
    return spot.node, spot.visit, spot.attempt


def key(spot: NodeAttempt, what: str) -> str:
    """Return the idempotency key for recording `what` of an attempt once."""
    return f"{spot.node}:{spot.visit}:{spot.attempt}:{what}"


def cause(spot: NodeAttempt, at: datetime) -> Cause:
    return Cause(spot.asked.key_id, spot.asked.because, at, tenant_of(spot.asked.execution_id))


def about(spot: NodeAttempt, at: datetime) -> dict[str, Any]:
    """Return the fields that all events of a node have."""
    return {
        "execution_id": owner(spot),
        "node": spot.node,
        "visit": spot.visit,
        "attempt": spot.attempt,
        "skipped": tuple(spot.skipped),
        **cause(spot, at).fields(),
    }

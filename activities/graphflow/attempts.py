"""What is known of an attempt by itself: whose it is, how it is told of, under which key it is recorded."""

from datetime import datetime
from typing import Any

from activities.graphflow.messages import Spot
from domain.events import Cause


def owner(spot: Spot) -> str:
    """The execution, which its texts belong to."""
    return spot.asked.execution_id


def place(spot: Spot) -> tuple[str, int, int]:
    """The attempt, in its run."""
    return spot.node, spot.visit, spot.attempt


def key(spot: Spot, what: str) -> str:
    """What of an attempt is recorded once."""
    return f"{spot.node}:{spot.visit}:{spot.attempt}:{what}"


def cause(spot: Spot, at: datetime) -> Cause:
    return Cause(spot.asked.key_id, spot.asked.because, at)


def about(spot: Spot, at: datetime) -> dict[str, Any]:
    """The fields that all events of a node have."""
    return {
        "execution_id": owner(spot),
        "node": spot.node,
        "visit": spot.visit,
        "attempt": spot.attempt,
        "skipped": tuple(spot.skipped),
        **cause(spot, at).fields(),
    }

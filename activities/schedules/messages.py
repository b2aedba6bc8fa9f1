"""Inputs and results of the activities of schedules: ids only."""

from dataclasses import dataclass
from typing import Literal

from domain.schedules.definition import TargetKind
from domain.schedules.events import Trigger


@dataclass(frozen=True)
class FiringRequest:
    """A firing to carry out. `scheduled_at` is a time in ISO 8601; `by` and `because` are of a trigger by hand."""

    schedule_id: str
    firing_id: str
    scheduled_at: str
    trigger: Trigger = "schedule"
    by: str | None = None
    because: str | None = None


@dataclass(frozen=True)
class FiredRun:
    """Accepted work by its ids."""

    kind: TargetKind
    run_id: str
    message_id: str | None = None


@dataclass(frozen=True)
class FiringResult:
    """The outcome of a firing. With `waits` the next times of the schedule depend on the end of `run`."""

    status: Literal["accepted", "refused", "not_fired"]
    run: FiredRun | None = None
    waits: bool = False


@dataclass(frozen=True)
class FiringFailure:
    """A firing whose activity has failed for good."""

    request: FiringRequest
    code: str
    reason: str

"""One firing: begun once, with one outcome."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from domain.events import Cause, Event
from domain.ids import derived_hex
from domain.schedules.aggregate import ScheduleRecord
from domain.schedules.events import ScheduledRunAccepted, ScheduledRunRefused, ScheduleFired, Trigger
from domain.tenant_ids import run_id, tenant_of

PREFIX = "firing_"
Outcome = ScheduledRunAccepted | ScheduledRunRefused


@dataclass(frozen=True, slots=True)
class FiringRecord:
    """A firing, `version` events long."""

    begun: ScheduleFired | None = None
    outcome: Outcome | None = None
    version: int = 0


def stream(firing_id: str) -> str:
    return f"firing:{firing_id}"


def begin_key(firing_id: str) -> str:
    """Return the idempotency key of the append that begins a firing."""
    return f"schedule.fire:{firing_id}"


def scheduled_firing_id(schedule_id: str, scheduled_at: datetime) -> str:
    """Return the id of the firing of a schedule at one of its times."""
    return run_id("firing", tenant_of(schedule_id), derived_hex("firing", schedule_id, scheduled_at.isoformat()))


def evolve(firing: FiringRecord, event: Event) -> FiringRecord:
    match event:
        case ScheduleFired():
            return replace(firing, begun=event, version=firing.version + 1)
        case ScheduledRunAccepted() | ScheduledRunRefused():
            return replace(firing, outcome=event, version=firing.version + 1)
        case _:
            return replace(firing, version=firing.version + 1)


def load(events: Iterable[Event]) -> FiringRecord:
    return reduce(evolve, events, FiringRecord())


def begin(
    schedule: ScheduleRecord,
    schedule_id: str,
    firing_id: str,
    cause: Cause,
    *,
    scheduled_at: datetime,
    trigger: Trigger,
) -> ScheduleFired | None:
    """Begin a firing; None where the schedule does not fire: it was deleted, or is paused and not triggered by hand."""
    if schedule.definition is None or schedule.deleted or (schedule.paused and trigger == "schedule"):
        return None
    return ScheduleFired(
        schedule_id=schedule_id,
        firing_id=firing_id,
        scheduled_at=scheduled_at,
        trigger=trigger,
        revision=schedule.revision,
        maker=schedule.maker,
        **cause.fields(),
    )

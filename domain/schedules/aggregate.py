"""One schedule: its definition, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce

from domain.errors import NotFound
from domain.events import Cause, Event
from domain.schedules.definition import ScheduleDefinition
from domain.schedules.events import (
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    SchedulePaused,
    ScheduleResumed,
)

PREFIX = "schedule_"


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """A schedule. `revision` counts its events; `maker` is whoever defined it last."""

    definition: ScheduleDefinition | None = None
    maker: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    changed_at: datetime | None = None
    paused: bool = False
    deleted: bool = False
    revision: int = 0

    @property
    def current(self) -> ScheduleDefinition:
        """The definition.

        Raises:
            NotFound: there is no such schedule, or it was deleted.
        """
        if self.definition is None or self.deleted:
            raise NotFound("there is no such schedule")
        return self.definition

    def refuse_missing(self) -> None:
        """Return if the schedule exists.

        Raises:
            NotFound: there is no such schedule, or it was deleted.
        """
        _ = self.current


def stream(schedule_id: str) -> str:
    return f"schedule:{schedule_id}"


def evolve(schedule: ScheduleRecord, event: Event) -> ScheduleRecord:
    schedule = replace(schedule, revision=schedule.revision + 1, changed_at=event.at)
    match event:
        case ScheduleCreated(definition=definition, by=by, at=at):
            return replace(schedule, definition=definition, maker=by, created_by=by, created_at=at)
        case ScheduleChanged(definition=definition, by=by):
            return replace(schedule, definition=definition, maker=by)
        case SchedulePaused():
            return replace(schedule, paused=True)
        case ScheduleResumed():
            return replace(schedule, paused=False)
        case ScheduleDeleted():
            return replace(schedule, deleted=True)
        case _:
            return schedule


def load(events: Iterable[Event]) -> ScheduleRecord:
    return reduce(evolve, events, ScheduleRecord())


def create(schedule_id: str, definition: ScheduleDefinition, cause: Cause, *, paused: bool) -> list[Event]:
    """Create the schedule, paused if that is wanted."""
    created = ScheduleCreated(schedule_id=schedule_id, definition=definition, **cause.fields())
    return [created, SchedulePaused(schedule_id=schedule_id, **cause.fields())] if paused else [created]


def change(schedule: ScheduleRecord, schedule_id: str, definition: ScheduleDefinition, cause: Cause) -> list[Event]:
    """Define the schedule anew; nothing if nothing differs.

    Raises:
        NotFound: there is no such schedule.
    """
    if schedule.current == definition:
        return []
    return [ScheduleChanged(schedule_id=schedule_id, definition=definition, **cause.fields())]


def pause(schedule: ScheduleRecord, schedule_id: str, cause: Cause) -> list[Event]:
    """Pause the schedule, unless it is paused.

    Raises:
        NotFound: there is no such schedule.
    """
    schedule.refuse_missing()
    return [] if schedule.paused else [SchedulePaused(schedule_id=schedule_id, **cause.fields())]


def resume(schedule: ScheduleRecord, schedule_id: str, cause: Cause) -> list[Event]:
    """Resume the schedule, if it is paused.

    Raises:
        NotFound: there is no such schedule.
    """
    schedule.refuse_missing()
    return [ScheduleResumed(schedule_id=schedule_id, **cause.fields())] if schedule.paused else []


def delete(schedule: ScheduleRecord, schedule_id: str, cause: Cause) -> list[Event]:
    """Delete the schedule.

    Raises:
        NotFound: there is no such schedule.
    """
    schedule.refuse_missing()
    return [ScheduleDeleted(schedule_id=schedule_id, **cause.fields())]

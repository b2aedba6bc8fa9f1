"""Commands on schedules, through the ledger."""

from collections.abc import Callable, Sequence
from functools import partial

from domain.content import Content
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, retry_on_conflict
from domain.schedules import aggregate
from domain.schedules.aggregate import ScheduleRecord
from domain.schedules.definition import ScheduleDefinition
from domain.tenant_ids import tenant_of

Check = Callable[[int], None]
"""Refuses if the revision is not the one the caller knows."""
Redefine = Callable[[ScheduleDefinition], ScheduleDefinition]


class ScheduleCommands:
    """What people do to the schedules of their tenant.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, tenant_id: str, schedule_id: str) -> ScheduleRecord:
        """Return the schedule of this tenant.

        Raises:
            NotFound: there is none, or it was deleted.
        """
        if not schedule_id.startswith(aggregate.PREFIX) or tenant_of(schedule_id) != tenant_id:
            raise NotFound("there is no such schedule")
        schedule = aggregate.load(self._ledger.read(aggregate.stream(schedule_id)))
        schedule.refuse_missing()
        return schedule

    def create(
        self,
        schedule_id: str,
        definition: ScheduleDefinition,
        cause: Cause,
        *,
        paused: bool,
        texts: Sequence[Content],
    ) -> ScheduleRecord:
        """Create a schedule; one of this id that exists already is returned as it is."""
        events = aggregate.create(schedule_id, definition, cause, paused=paused)
        change = Change(aggregate.stream(schedule_id), 0, events)
        self._ledger.append(change, key=f"schedule.create:{schedule_id}", content=texts)
        return self.load(cause.tenant_id, schedule_id)

    def change(
        self, schedule_id: str, redefine: Redefine, cause: Cause, *, check: Check, texts: Sequence[Content]
    ) -> ScheduleRecord:
        """Define a schedule anew, from its current definition.

        Raises:
            NotFound: there is no such schedule.
        """

        def decide(schedule: ScheduleRecord) -> list[Event]:
            return aggregate.change(schedule, schedule_id, redefine(schedule.current), cause)

        return self._write(schedule_id, decide, cause, check=check, texts=texts)

    def pause(self, schedule_id: str, cause: Cause) -> ScheduleRecord:
        """Pause a schedule.

        Raises:
            NotFound: there is no such schedule.
        """
        return self._write(schedule_id, partial(aggregate.pause, schedule_id=schedule_id, cause=cause), cause)

    def resume(self, schedule_id: str, cause: Cause) -> ScheduleRecord:
        """Resume a schedule.

        Raises:
            NotFound: there is no such schedule.
        """
        return self._write(schedule_id, partial(aggregate.resume, schedule_id=schedule_id, cause=cause), cause)

    def delete(self, schedule_id: str, cause: Cause, *, check: Check) -> None:
        """Delete a schedule.

        Raises:
            NotFound: there is no such schedule.
        """
        decide = partial(aggregate.delete, schedule_id=schedule_id, cause=cause)
        self._write(schedule_id, decide, cause, check=check)

    def _write(
        self,
        schedule_id: str,
        decide: Callable[[ScheduleRecord], Sequence[Event]],
        cause: Cause,
        *,
        check: Check = lambda _: None,
        texts: Sequence[Content] = (),
    ) -> ScheduleRecord:
        def write() -> ScheduleRecord:
            schedule = self.load(cause.tenant_id, schedule_id)
            check(schedule.revision)
            events = decide(schedule)
            if not events:
                return schedule
            change = Change(aggregate.stream(schedule_id), schedule.revision, events)
            self._ledger.append(change, key=random_id("change"), content=texts)
            after = schedule
            for event in events:
                after = aggregate.evolve(after, event)
            return after

        return retry_on_conflict(write, tries=MANY_TRIES, pause_s=BRIEF_S)

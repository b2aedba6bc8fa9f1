"""What can happen to a schedule (stream `schedule:<id>`) and to one firing of it (`firing:<id>`)."""

from typing import Literal

from pydantic import AwareDatetime

from domain.events import Event
from domain.schedules.definition import ScheduleDefinition, TargetKind

Trigger = Literal["schedule", "manual"]


class ScheduleCreated(Event):
    """It was created. It acts as whoever defined it last."""

    NAME = "schedule.created"

    schedule_id: str
    definition: ScheduleDefinition


class ScheduleChanged(Event):
    """It has another definition from now on. Firings that have begun keep theirs."""

    NAME = "schedule.changed"

    schedule_id: str
    definition: ScheduleDefinition


class SchedulePaused(Event):
    """It does not fire by itself until it is resumed."""

    NAME = "schedule.paused"

    schedule_id: str


class ScheduleResumed(Event):
    """It fires again at its times."""

    NAME = "schedule.resumed"

    schedule_id: str


class ScheduleDeleted(Event):
    """It fires no more."""

    NAME = "schedule.deleted"

    schedule_id: str


class ScheduleFired(Event):
    """A firing began. It has the definition of the schedule's `revision`, and acts as `maker`, who wrote that."""

    NAME = "schedule.fired"

    schedule_id: str
    firing_id: str
    scheduled_at: AwareDatetime
    trigger: Trigger
    revision: int
    maker: str


class ScheduledRunAccepted(Event):
    """The work of a firing was accepted.

    `run_id` is the session, swarm, execution or run, `target_id` its agent, workflow or runbook.
    """

    NAME = "schedule.run_accepted"

    schedule_id: str
    firing_id: str
    run_kind: TargetKind
    run_id: str
    target_id: str | None = None
    message_id: str | None = None


class ScheduledRunRefused(Event):
    """The work of a firing was refused, with the API's error code. The reason is a text of the schedule."""

    NAME = "schedule.run_refused"

    schedule_id: str
    firing_id: str
    code: str
    reason_hash: str


EVENTS = (
    ScheduleCreated,
    ScheduleChanged,
    SchedulePaused,
    ScheduleResumed,
    ScheduleDeleted,
    ScheduleFired,
    ScheduledRunAccepted,
    ScheduledRunRefused,
)

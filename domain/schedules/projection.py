"""The read model of schedules and their firings."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.schedules.definition import ScheduleDefinition
from domain.schedules.events import (
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    ScheduledRunAccepted,
    ScheduledRunRefused,
    ScheduleFired,
    SchedulePaused,
    ScheduleResumed,
)

_OF_SCHEDULE = ScheduleChanged | SchedulePaused | ScheduleResumed | ScheduleDeleted


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """A schedule; `revision` counts its events, `maker` is whoever defined it last."""

    TABLE: ClassVar[str] = "schedules"
    KEY: ClassVar[tuple[str, ...]] = ("schedule_id",)

    schedule_id: str
    tenant_id: str
    target_kind: str
    target_id: str | None
    name_hash: str | None
    cron: str | None
    every_s: int | None
    timezone: str
    start_at: datetime | None
    end_at: datetime | None
    overlap: str
    catchup_window_s: int
    paused: bool
    deleted: bool
    revision: int
    created_by: str
    maker: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class FiringRow:
    """A firing; `status` is starting until its work is accepted or refused."""

    TABLE: ClassVar[str] = "schedule_firings"
    KEY: ClassVar[tuple[str, ...]] = ("firing_id",)

    firing_id: str
    schedule_id: str
    tenant_id: str
    trigger: str
    revision: int
    scheduled_at: datetime
    fired_at: datetime
    fired_by: str
    status: str
    target_id: str | None
    run_kind: str | None
    run_id: str | None
    code: str | None
    reason_hash: str | None


class SchedulesProjection:
    """Folds the events of schedules."""

    name = "schedules"
    kinds: tuple[type[Row], ...] = (ScheduleRow, FiringRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, _OF_SCHEDULE):
            yield ScheduleRow, (event.schedule_id,)
        elif isinstance(event, ScheduledRunAccepted | ScheduledRunRefused):
            yield FiringRow, (event.firing_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ScheduleCreated() as event:
                rows.put(_new_schedule(event))
            case ScheduleChanged() | SchedulePaused() | ScheduleResumed() | ScheduleDeleted() as event:
                _apply_change(recorded, event, rows)
            case ScheduleFired() as event:
                rows.put(_new_firing(event))
            case ScheduledRunAccepted(run_kind=kind, run_id=run_id, target_id=target_id) as event:
                row = replace(_get_firing(event.firing_id, rows), status="accepted", run_kind=kind, run_id=run_id)
                rows.put(replace(row, target_id=target_id))
            case ScheduledRunRefused(code=code, reason_hash=reason) as event:
                row = _get_firing(event.firing_id, rows)
                rows.put(replace(row, status="refused", code=code, reason_hash=reason))


def _apply_change(recorded: RecordedEvent, event: _OF_SCHEDULE, rows: Rows) -> None:
    row = replace(_schedule(event.schedule_id, rows), revision=recorded.version, changed_at=event.at)
    match event:
        case ScheduleChanged():
            rows.put(replace(_with_definition(row, event.definition), maker=event.by))
        case SchedulePaused():
            rows.put(replace(row, paused=True))
        case ScheduleResumed():
            rows.put(replace(row, paused=False))
        case ScheduleDeleted():
            rows.put(replace(row, deleted=True))


def _new_schedule(event: ScheduleCreated) -> ScheduleRow:
    row = ScheduleRow(
        schedule_id=event.schedule_id,
        tenant_id=event.tenant_id,
        target_kind=event.definition.target_kind,
        target_id=None,
        name_hash=None,
        cron=None,
        every_s=None,
        timezone="",
        start_at=None,
        end_at=None,
        overlap="",
        catchup_window_s=0,
        paused=False,
        deleted=False,
        revision=1,
        created_by=event.by,
        maker=event.by,
        created_at=event.at,
        changed_at=event.at,
    )
    return _with_definition(row, event.definition)


def _with_definition(row: ScheduleRow, definition: ScheduleDefinition) -> ScheduleRow:
    return replace(
        row,
        target_kind=definition.target_kind,
        target_id=definition.target_id,
        name_hash=definition.name_hash,
        cron=definition.cron,
        every_s=definition.every_s,
        timezone=definition.timezone,
        start_at=definition.start_at,
        end_at=definition.end_at,
        overlap=definition.overlap,
        catchup_window_s=definition.catchup_window_s,
    )


def _new_firing(event: ScheduleFired) -> FiringRow:
    return FiringRow(
        firing_id=event.firing_id,
        schedule_id=event.schedule_id,
        tenant_id=event.tenant_id,
        trigger=event.trigger,
        revision=event.revision,
        scheduled_at=event.scheduled_at,
        fired_at=event.at,
        fired_by=event.by,
        status="starting",
        target_id=None,
        run_kind=None,
        run_id=None,
        code=None,
        reason_hash=None,
    )


def _schedule(schedule_id: str, rows: Rows) -> ScheduleRow:
    row = rows.get(ScheduleRow, schedule_id)
    if row is None:
        raise NotFound(f"schedule {schedule_id} was never created")
    return row


def _get_firing(firing_id: str, rows: Rows) -> FiringRow:
    row = rows.get(FiringRow, firing_id)
    if row is None:
        raise NotFound(f"firing {firing_id} never began")
    return row

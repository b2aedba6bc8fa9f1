"""The schedules in Temporal, and triggers by hand."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.client import ScheduleState as TimerSettings
from temporalio.service import RPCError, RPCStatusCode

from domain.schedules.aggregate import PREFIX, ScheduleRecord
from domain.schedules.cron import parse_cron
from domain.schedules.definition import Overlap, ScheduleDefinition
from domain.schedules.ports import TimerForecast, TimerState
from workflows.schedules.messages import FiringStart
from workflows.schedules.workflow import ScheduleFiringWorkflow
from workflows.search_attributes import build_search_attributes
from workflows.start_options import RunLabels, start_once
from workflows.task_queues import WORKFLOW_QUEUE
from workflows.temporal_rpc import reachable

_OVERLAPS: Mapping[Overlap, ScheduleOverlapPolicy] = {
    "skip": ScheduleOverlapPolicy.SKIP,
    "buffer_one": ScheduleOverlapPolicy.BUFFER_ONE,
    "buffer_all": ScheduleOverlapPolicy.BUFFER_ALL,
    "allow_all": ScheduleOverlapPolicy.ALLOW_ALL,
}
_NOTE = "revision "
_TIMES = 5


class TemporalTimers:
    """`domain.schedules.ports.ScheduleTimers` on Temporal. Failures to reach Temporal are raised as `Unavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, schedule_id: str, schedule: ScheduleRecord) -> None:
        """Create the schedule, or make it be like this."""
        wanted = _to_temporal(schedule_id, schedule)
        with reachable():
            while True:
                try:
                    await self._client.get_schedule_handle(schedule_id).update(lambda _: ScheduleUpdate(wanted))
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
                else:
                    return
                try:
                    await self._client.create_schedule(schedule_id, wanted)
                except ScheduleAlreadyRunningError:
                    continue  # somebody else has just created it
                return

    async def remove(self, schedule_id: str) -> None:
        """Delete the schedule, if it is there."""
        with reachable():
            try:
                await self._client.get_schedule_handle(schedule_id).delete()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise

    async def states(self) -> Mapping[str, TimerState]:
        """Return all that are there."""
        found: dict[str, TimerState] = {}
        with reachable():
            async for listed in await self._client.list_schedules():
                if listed.id.startswith(PREFIX) and listed.schedule is not None:
                    state = listed.schedule.state
                    found[listed.id] = TimerState(_revision(state.note), state.paused)
        return found

    async def forecast(self, schedule_id: str) -> TimerForecast | None:
        """Return the next times of a schedule, none while it is paused; None if Temporal does not have it."""
        with reachable():
            try:
                found = await self._client.get_schedule_handle(schedule_id).describe()
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return None
                raise
        info = found.info
        state = found.schedule.state
        times = () if state.paused else tuple(info.next_action_times[:_TIMES])
        return TimerForecast(
            _revision(state.note), times, info.num_actions_skipped_overlap, info.num_actions_missed_catchup_window
        )

    async def trigger(self, start: FiringStart, firing_id: str, schedule: ScheduleRecord) -> bool:
        """Start a firing by hand; False when it exists already."""
        labels = RunLabels(
            kind="schedule",
            of=firing_id,
            agent_id=schedule.current.target_id or schedule.current.target_kind,
            key_id=schedule.maker,
            request_id=start.because or firing_id,
            summary="Schedule, by hand",
            details=f"schedule `{start.schedule_id}`",
        )
        return await start_once(self._client, ScheduleFiringWorkflow.run, start, labels)


def _to_temporal(schedule_id: str, schedule: ScheduleRecord) -> Schedule:
    definition = schedule.current
    attributes = build_search_attributes(
        "schedule",
        of=schedule_id,
        agent_id=definition.target_id or definition.target_kind,
        key_id=schedule.maker,
    )
    return Schedule(
        action=ScheduleActionStartWorkflow(
            ScheduleFiringWorkflow.run,
            FiringStart(schedule_id),
            id=f"firing-{schedule_id}",  # Temporal adds the time
            task_queue=WORKFLOW_QUEUE,
            static_summary="Schedule",
            static_details=f"schedule `{schedule_id}`",
            typed_search_attributes=attributes,
        ),
        spec=_to_spec(definition),
        policy=SchedulePolicy(
            overlap=_OVERLAPS[definition.overlap],
            catchup_window=timedelta(seconds=definition.catchup_window_s),
        ),
        state=TimerSettings(note=f"{_NOTE}{schedule.revision}", paused=schedule.paused),
    )


def _to_spec(definition: ScheduleDefinition) -> ScheduleSpec:
    times: dict[str, Any] = {"calendars": [_to_calendar(definition.cron)]} if definition.cron else {}
    if definition.every_s is not None:
        # without a start the times are multiples of the interval since 1970, as Temporal counts them
        since = int(definition.start_at.timestamp()) % definition.every_s if definition.start_at else 0
        every = ScheduleIntervalSpec(timedelta(seconds=definition.every_s), timedelta(seconds=since))
        times = {"intervals": [every]}
    return ScheduleSpec(
        **times, start_at=definition.start_at, end_at=definition.end_at, time_zone_name=definition.timezone
    )


def _to_calendar(cron: str) -> ScheduleCalendarSpec:
    times = parse_cron(cron)
    return ScheduleCalendarSpec(
        minute=_ranges(times.minutes),
        hour=_ranges(times.hours),
        day_of_month=_ranges(times.days),
        month=_ranges(times.months),
        day_of_week=_ranges(times.weekdays),
    )


def _ranges(values: tuple[int, ...]) -> list[ScheduleRange]:
    """Return the values, with neighbours joined."""
    joined: list[ScheduleRange] = []
    for value in values:
        if joined and joined[-1].end == value - 1:
            joined[-1] = ScheduleRange(joined[-1].start, value)
        else:
            joined.append(ScheduleRange(value, value))
    return joined


def _revision(note: str | None) -> int:
    number = (note or "").removeprefix(_NOTE)
    return int(number) if number.isdecimal() and len(number) < 10 else 0  # noqa: PLR2004  (anybody can write a note)

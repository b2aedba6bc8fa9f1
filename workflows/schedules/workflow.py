"""One firing of a schedule: it starts the work, and lasts as long, so that Temporal's overlap policy sees it.

The work is no child: it goes on whatever happens to the firing.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.schedules.activities import ScheduleActivities
    from activities.schedules.messages import FiredRun, FiringFailure, FiringRequest, FiringResult
    from domain.schedules.firing import scheduled_firing_id
    from workflows.schedules.messages import FiringStart
    from workflows.timeouts import HEARTBEAT_TIMEOUT, LEDGER_RETRY, LEDGER_TIMEOUT

_SCHEDULED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_START_TIMEOUT = timedelta(minutes=5)
_LOOKS_A_RUN = 200
MOST_LOOKS = 10_000
"""Looks at the work before a firing ends all the same: a week, at a look each minute."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0


@workflow.defn(name="ScheduleFiring")
class ScheduleFiringWorkflow:
    """One firing."""

    @workflow.run
    async def run(self, start: FiringStart) -> str:
        """Start the work and wait for its end. Returns the outcome: accepted, refused or not_fired."""
        if start.run is None:
            result = await self._fire(_to_request(start))
            if result.run is None or not result.waits:
                return result.status
            await self._wait(start, result.run)
        else:
            await self._wait(start, start.run)
        return "accepted"

    async def _fire(self, request: FiringRequest) -> FiringResult:
        try:
            return await workflow.execute_activity_method(
                ScheduleActivities.fire_schedule,
                request,
                start_to_close_timeout=_START_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=LEDGER_RETRY,
                summary="start the work",
            )
        except ActivityError as error:
            cause = error.cause
            code = cause.type if isinstance(cause, ApplicationError) and cause.type else "INTERNAL_ERROR"
            return await workflow.execute_activity_method(
                ScheduleActivities.fail_firing,
                FiringFailure(request, code, "the work could not be started"),
                start_to_close_timeout=LEDGER_TIMEOUT,
                retry_policy=LEDGER_RETRY,
            )

    async def _wait(self, start: FiringStart, run: FiredRun) -> None:
        """Return once the work is over, or was looked at as often as a firing may."""
        pause = _FIRST_PAUSE_S if start.waited == 0 else _LONGEST_PAUSE_S
        for looks in range(start.waited, min(start.waited + _LOOKS_A_RUN, MOST_LOOKS)):
            is_over = await workflow.execute_activity_method(
                ScheduleActivities.is_run_over,
                run,
                start_to_close_timeout=LEDGER_TIMEOUT,
                retry_policy=LEDGER_RETRY,
            )
            if is_over or looks + 1 == MOST_LOOKS:
                return
            await workflow.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        workflow.continue_as_new(FiringStart(start.schedule_id, run=run, waited=start.waited + _LOOKS_A_RUN))


def _to_request(start: FiringStart) -> FiringRequest:
    info = workflow.info()
    scheduled_at = info.typed_search_attributes.get(_SCHEDULED_AT) or info.start_time
    return FiringRequest(
        schedule_id=start.schedule_id,
        firing_id=start.firing_id or scheduled_firing_id(start.schedule_id, scheduled_at),
        scheduled_at=scheduled_at.isoformat(),
        trigger="schedule" if start.firing_id is None else "manual",
        by=start.by,
        because=start.because,
    )

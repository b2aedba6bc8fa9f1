"""An erasure: find, stop and remove what belongs to a subject, until a pass finds nothing new."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erasures.activities import ErasureActivities
    from activities.erasures.messages import ErasureRef
    from workflows.erasures.messages import ErasureStart
    from workflows.timeouts import HEARTBEAT_TIMEOUT, LEDGER_RETRY, LEDGER_TIMEOUT

_STEP_TIMEOUT = timedelta(hours=1)
MOST_PASSES = 20
"""Passes of a subject that goes on to begin new work: what begins later is not part of the erasure."""


@workflow.defn(name="Erasure")
class ErasureWorkflow:
    """One erasure.

    A second pass follows the first after a pause. By then no process caches a text, and what was on its way to the
    views, to Temporal or to a stored response has arrived, and is removed.
    """

    @workflow.run
    async def run(self, start: ErasureStart) -> int:
        """Erase the subject. Returns the number of passes."""
        ref = ErasureRef(start.erasure_id)
        passes, found = 0, 1
        while passes < 2 or (found and passes < MOST_PASSES):  # noqa: PLR2004  (the first pass and the one after)
            if passes:
                await workflow.sleep(timedelta(seconds=start.pause_s))
            found = await self._remove(ref)
            passes += 1
            workflow.set_current_details(f"pass {passes}: {found} new owners of texts")
        await workflow.execute_activity_method(
            ErasureActivities.complete_erasure,
            ref,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="record the end",
        )
        return passes

    async def _remove(self, ref: ErasureRef) -> int:
        """Do one pass. Returns the number of owners that it has found first."""
        found = await workflow.execute_activity_method(
            ErasureActivities.mark_subject,
            ref,
            start_to_close_timeout=_STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="find what belongs to the subject",
        )
        await workflow.execute_activity_method(
            ErasureActivities.stop_runs,
            ref,
            start_to_close_timeout=_STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="stop its runs and delete their histories",
        )
        await workflow.execute_activity_method(
            ErasureActivities.remove_texts,
            ref,
            start_to_close_timeout=_STEP_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="remove its texts",
        )
        return found

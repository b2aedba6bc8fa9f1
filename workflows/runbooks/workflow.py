"""A run of a runbook: its steps, one after the other, and the approval before the first change."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.runbooks.activities import RunbookActivities
    from activities.runbooks.messages import (
        RunbookEndRequest,
        RunbookHold,
        RunbookPlan,
        RunbookRef,
        RunbookStepRef,
        RunbookStepResult,
    )
    from domain.runbooks.events import EndStatus
    from workflows.approvals.waiting import ApprovalWaits
    from workflows.runbooks.messages import RunbookStart
    from workflows.shielded import finish_shielded
    from workflows.timeouts import HEARTBEAT_TIMEOUT, LEDGER_RETRY, LEDGER_TIMEOUT


@workflow.defn(name="Runbook")
class RunbookWorkflow:
    """One run. A step whose worker dies is begun again by another one within the heartbeat timeout."""

    @workflow.init
    def __init__(self, start: RunbookStart) -> None:
        self._run_id = start.run_id
        self._people = ApprovalWaits()
        self._step: str | None = None

    @workflow.run
    async def run(self, start: RunbookStart) -> str:
        """Do the steps. Returns the status: completed, failed, rejected or cancelled."""
        plan = await workflow.execute_activity_method(
            RunbookActivities.plan_runbook,
            RunbookRef(start.run_id),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="read the steps",
        )
        if plan.ended is not None:
            return plan.ended
        try:
            end = await self._do(plan)
        except (asyncio.CancelledError, ActivityError) as error:
            end = await finish_shielded(self._clean_up(error))
        return await finish_shielded(self._end(end))

    @workflow.signal
    def approval_decided(self, decided: ApprovalDecision) -> None:
        """Report that the run's approval was decided."""
        self._people.on_decision_signal(decided)

    async def _do(self, plan: RunbookPlan) -> RunbookEndRequest:
        for step in plan.steps:
            if step == plan.approval_before and (refused := await self._await_approval()) is not None:
                return refused
            result = await self._run_step(step, plan.longest_s)
            workflow.set_current_details(f"{step}: {result.status}")
            if result.status == "failed":
                return self._end_request("failed", result.code, f"{step}: {result.error or ''}")
        return self._end_request("completed")

    async def _run_step(self, step: str, longest_s: float) -> RunbookStepResult:
        self._step = step
        result = await workflow.execute_activity_method(
            RunbookActivities.run_step,
            RunbookStepRef(self._run_id, step),
            start_to_close_timeout=timedelta(seconds=longest_s),
            schedule_to_close_timeout=timedelta(seconds=longest_s),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary=step,
        )
        self._step = None
        return result

    async def _await_approval(self) -> RunbookEndRequest | None:
        """Wait for the approval. Returns the end of the run where it is not given."""
        approval = await workflow.execute_activity_method(
            RunbookActivities.request_run_approval,
            RunbookRef(self._run_id),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="request the approval",
        )
        decided = await self._people.await_decision(approval.ask, self._hold)
        if decided.outcome == "approved":
            return None
        return self._end_request("rejected", "REJECTED", f"its approval was {decided.outcome}")

    async def _hold(self, approval_id: str) -> None:
        """Record that the run waits, once its approval can be decided."""
        workflow.set_current_details(f"waits for `{approval_id}`")
        await workflow.execute_activity_method(
            RunbookActivities.hold_runbook,
            RunbookHold(self._run_id, approval_id),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="record the wait",
        )

    async def _clean_up(self, error: BaseException) -> RunbookEndRequest:
        """Withdraw the approval, and return the end of a run that was cancelled or whose step failed for good."""
        await self._people.withdraw("its runbook was stopped")
        if is_cancelled_exception(error):
            return self._end_request("cancelled", "CANCELLED", "the run was cancelled")
        cause = error.cause if isinstance(error, ActivityError) else None
        message = cause.message if isinstance(cause, ApplicationError) else "the step did not end in time"
        return self._end_request("failed", "INTERNAL_ERROR", message)

    async def _end(self, end: RunbookEndRequest) -> str:
        return await workflow.execute_activity_method(
            RunbookActivities.end_runbook,
            end,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="record the end",
        )

    def _end_request(self, status: EndStatus, code: str | None = None, error: str | None = None) -> RunbookEndRequest:
        return RunbookEndRequest(self._run_id, status, code, error, self._step)

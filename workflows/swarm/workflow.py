"""A swarm: agents that work on one task together, as the plan of its mode says."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalRequest
    from activities.swarm.activities import SwarmActivities
    from activities.swarm.messages import EndSwarmRequest, HeldSwarmResult, SwarmResultParts, seconds_left
    from domain.message_parts import MessagePart
    from domain.swarm.events import EndStatus
    from domain.swarm.plans import PLANS, partial_result
    from domain.swarm.task import SwarmOutcome, SwarmTask
    from workflows.approvals.waiting import ApprovalWaits
    from workflows.swarm.members import SwarmProgress
    from workflows.swarm.messages import SwarmCancel, SwarmEnd, SwarmStart
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import approval_id, explain_refusal

T = TypeVar("T")


@dataclass(frozen=True)
class _Outcome:
    """The end of the swarm before it is recorded."""

    status: EndStatus
    result: tuple[MessagePart, ...] = ()
    partial: bool = False
    code: str | None = None
    reason: str | None = None


@workflow.defn(name="Swarm")
class SwarmWorkflow:
    """Runs the turns that the plan asks for until the plan is over, the swarm is cancelled, or its deadline passes."""

    @workflow.init
    def __init__(self, start: SwarmStart) -> None:
        asked = start.asked
        self._asked = asked
        self._task = SwarmTask(
            mode=asked.mode,
            members=tuple(member.agent_id for member in asked.members),
            coordinator=asked.coordinator.agent_id,
            task_hash=asked.task_hash,
            context_hash=asked.context_hash,
            rounds=asked.rounds,
        )
        self._holds = ApprovalWaits()
        self._seats = SwarmProgress(asked, self._task)
        self._turns: TurnRunner | None = None
        self._cancelled = False
        self._seen = 0

    @workflow.run
    async def run(self, start: SwarmStart) -> SwarmEnd:
        """Run the swarm and record its end."""
        working = asyncio.create_task(self._work(start))
        try:
            stopped = await self._wait_for_work(working)
        except asyncio.CancelledError:
            stopped = _Outcome("cancelled", reason="its workflow was cancelled")
        over = await _run_to_completion(self._close(working, stopped))
        if over.status == "cancelled" and workflow.cancellation_reason() is not None:
            raise asyncio.CancelledError
        return over

    @workflow.signal
    def cancel(self, cancel: SwarmCancel) -> None:  # noqa: ARG002  (who it was is in the history)
        """Cancel; contributions made until then stay."""
        self._cancelled = True

    @workflow.signal
    def approval_decided(self, *arguments: Any) -> None:
        """Report that an approval of a turn or of the result was decided."""
        self._holds.on_decision_signal(*arguments)

    async def _wait_for_work(self, working: "asyncio.Task[_Outcome]") -> _Outcome | None:
        """Wait for the work. None when it has ended by itself, else the reason to stop it."""
        remaining = seconds_left(self._asked, workflow.now())
        try:
            await workflow.wait_condition(lambda: working.done() or self._cancelled, timeout=remaining)
        except TimeoutError:
            return _Outcome("deadline_exceeded", reason="its deadline has passed")
        return None if working.done() else _Outcome("cancelled", reason="it was cancelled by request")

    async def _close(self, working: "asyncio.Task[_Outcome]", stopped: _Outcome | None) -> SwarmEnd:
        """Stop the work if it has to stop, and record its end."""
        if stopped is not None:
            working.cancel()
            await workflow.wait([working])
        if not working.cancelled() and working.exception() is None:
            return await self._end(working.result())
        cut = stopped or _find_failure(working)
        reason = cut.reason or cut.status
        await self._holds.withdraw(reason)
        if self._turns is not None:
            await self._seats.fail_turns(self._turns, reason)
        return await self._end(self._end_early(cut))

    async def _work(self, start: SwarmStart) -> _Outcome:
        begun = await workflow.execute_local_activity_method(
            SwarmActivities.begin_swarm,
            self._asked,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )
        self._seen = 1
        turns = self._turns = TurnRunner(
            begun.model_queue,
            start.call_timeout_s,
            start.pause_s,
            self._asked.project_id,
            holds=self._holds,
            budget_usd=self._asked.budget_usd,
            enclosing_runs=tuple(self._asked.enclosing_runs),
            on_hold=self._seats.show_approval_wait,
        )
        plan = PLANS[self._task.mode]
        while not isinstance(found := plan.next_turns(self._task, tuple(self._seats.spoken)), SwarmOutcome):
            await self._seats.run_turns(turns, found)
            if self._seats.over_budget:
                return self._end_early(_Outcome("budget_exceeded", code="BUDGET_EXCEEDED", reason=self._seats.error))
        return await self._finish(found)

    async def _finish(self, over: SwarmOutcome) -> _Outcome:
        if over.status == "failed":
            return self._end_early(_Outcome("failed", code=self._seats.code, reason=over.reason))
        risk = self._seats.risk
        if risk is None:
            return _Outcome("completed", over.result)
        return await self._approve_result(over.result, risk)

    async def _approve_result(self, result: tuple[MessagePart, ...], risk: str) -> _Outcome:
        """Wait for the approval of the result; an edit of the approver becomes the result."""
        asked, approval = self._asked, approval_id("swarm", self._asked.task_id)
        result_hash = await workflow.execute_local_activity_method(
            SwarmActivities.write_result,
            SwarmResultParts(asked.task_id, list(result)),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )
        ask = ApprovalRequest(
            approval_id=approval,
            kind="swarm_result",
            risk=risk,
            title=f"Result of {asked.coordinator.agent_id} and {len(asked.members)} members ({asked.mode})",
            agent_id=asked.coordinator.agent_id,
            owner=asked.task_id,
            content_hash=result_hash,
            workflow_id=workflow.info().workflow_id,
            root_id=asked.task_id,
            key_id=asked.key_id,
            because=asked.because,
            project_id=asked.project_id,
        )
        decided = await self._holds.await_decision(ask, partial(self._record_approval_wait, result_hash))
        if decided.outcome != "approved":
            return _Outcome("rejected", code="REJECTED", reason=explain_refusal(decided))
        return _Outcome("completed", (MessagePart(hash=decided.content_hash or result_hash),))

    async def _record_approval_wait(self, result_hash: str, approval: str) -> None:
        """Record that the result awaits approval."""
        await workflow.execute_local_activity_method(
            SwarmActivities.hold_swarm,
            HeldSwarmResult(self._asked, approval, result_hash, self._seen),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )
        self._seen += 1
        self._seats.show_approval_wait(approval)

    def _end_early(self, outcome: _Outcome) -> _Outcome:
        """Return an early end with the partial result, unless that would have needed approval."""
        stands = partial_result(self._task, self._seats.spoken) if self._seats.risk is None else ()
        return _Outcome(outcome.status, stands, partial=bool(stands), code=outcome.code, reason=outcome.reason)

    async def _end(self, outcome: _Outcome) -> SwarmEnd:
        result_hash = await workflow.execute_local_activity_method(
            SwarmActivities.end_swarm,
            EndSwarmRequest(
                asked=self._asked,
                status=outcome.status,
                result=list(outcome.result),
                partial=outcome.partial,
                code=outcome.code,
                reason=outcome.reason,
                seen=self._seen,
            ),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )
        self._seats.update_details(outcome.status)
        partial = outcome.partial and result_hash is not None
        return SwarmEnd(outcome.status, result_hash, partial, outcome.code, outcome.reason)


def _find_failure(working: "asyncio.Task[_Outcome]") -> _Outcome:
    """Return the end for an activity that failed for good; programming errors are raised, as they are no end."""
    error = working.exception()
    if not isinstance(error, FailureError):
        working.result()
    cause = getattr(error, "cause", None) or error
    return _Outcome(
        "failed", code="INTERNAL_ERROR", reason=f"it could not continue: {getattr(cause, 'message', cause)}"
    )


async def _run_to_completion(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to completion even if the workflow is cancelled meanwhile."""
    task = asyncio.create_task(step)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise

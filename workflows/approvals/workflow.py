"""One approval: it waits for people, the first decision counts, and the waiting workflow is signalled."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.activities import ApprovalActivities
    from activities.approvals.messages import (
        ApprovalCommandResult,
        ApprovalDecision,
        ApprovalRefusal,
        ApprovalStart,
        ApprovalState,
        ApprovalWithdrawal,
        DeadlineAction,
        InstructionRef,
        RoutedInstruction,
        SignalDecision,
    )
    from domain.approvals.escalation import next_action
    from workflows.approvals.messages import DECIDED_SIGNAL, parse_signal, reason_of
    from workflows.approvals.notice_delivery import NoticeSender
    from workflows.approvals.notices import classify_transition, render_details
    from workflows.approvals.preconditions import check_command, refuse_decided
    from workflows.shielded import finish_shielded
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT

T = TypeVar("T")

_MAX_SIGNALS = 200
"""Maximum number of signals that are processed, which bounds the history."""
_REQUEST_TIMEOUT = timedelta(hours=1)
"""Time after which an approval that is not in the ledger is given up: its requester died."""


@workflow.defn(name="Approval")
class ApprovalWorkflow:
    """Serialises handlers and timers; each records in the ledger and continues from the state it returns.

    Signal handlers accept any number of arguments: an unexpected one would fail the workflow task for ever.
    """

    @workflow.init
    def __init__(self, start: ApprovalStart) -> None:
        self._ask = start.ask
        self._state = start.state
        self._notices = NoticeSender(start.ask, is_enabled=start.notices)
        self._claims = 0
        self._carried: set[str] = set()
        self._is_recorded = not start.awaits_request
        self._recording = asyncio.Lock()

    @workflow.run
    async def run(self, start: ApprovalStart) -> ApprovalDecision:  # noqa: ARG002  (kept by `__init__`)
        """Wait for the decision, signal the waiting workflow, and finish the delivery of notices."""
        try:
            if not self._is_recorded:
                await finish_shielded(self._await_request())
            self._update_details()
            if self._state.decided is None:
                self._notices.send(self._state, "requested")
            while self._state.decided is None:
                await self._wait_or_pass_time()
        except (asyncio.CancelledError, ActivityError):
            if workflow.cancellation_reason() is None or not self._is_recorded:
                raise
            await self._record_withdrawal("the approval's workflow was cancelled")
        decided = self._state.decided
        if decided is None:
            raise ApplicationError("the ledger has no decision", type="INTERNAL_ERROR")
        await self._signal_waiter(decided)
        await workflow.wait_condition(self._is_settled)
        return decided

    @workflow.update
    async def decide(self, order: InstructionRef) -> ApprovalState:
        """Approve or reject, as an instruction says."""
        return await self._carry_out(order, ["approve", "reject"])

    @workflow.update
    async def delegate(self, order: InstructionRef) -> ApprovalState:
        """Delegate one's decision to another key, as an instruction says."""
        return await self._carry_out(order, ["delegate"])

    @workflow.update
    async def escalate(self, order: InstructionRef) -> ApprovalState:
        """Escalate, as an instruction says."""
        return await self._carry_out(order, ["escalate"])

    @decide.validator
    def _check_decide(self, order: InstructionRef) -> None:
        check_command(order, self._state)

    @delegate.validator
    def _check_delegate(self, order: InstructionRef) -> None:
        check_command(order, self._state)

    @escalate.validator
    def _check_escalate(self, order: InstructionRef) -> None:
        check_command(order, self._state)

    @workflow.signal
    async def approve(self, *arguments: Any) -> None:
        """Approve, from the Web UI or the command line: a comment, or `{comment, by, edited_content}`."""
        await self._record_signal("approve", arguments)

    @workflow.signal
    async def reject(self, *arguments: Any) -> None:
        """Reject, from the Web UI or the command line: a comment, or `{comment, by}`."""
        await self._record_signal("reject", arguments)

    @workflow.signal
    async def carry(self, order: InstructionRef, verb: str) -> None:
        """Execute a command whose update got no answer; a command id is executed once."""
        if not workflow.patched("carry"):  # older workers ignored this signal: replays of their histories must, too
            return
        try:
            check_command(order, self._state)
            await self._carry_out(order, [verb])
        except FailureError as error:  # a signal has no caller, and a failing handler would fail the workflow
            workflow.logger.warning("command %s was not executed: %s", verb, error)

    @workflow.signal
    async def withdraw(self, *arguments: Any) -> None:
        """Withdraw the approval because no workflow waits for it: `{reason}`, or the reason."""
        await self._record_withdrawal(reason_of(arguments))

    @workflow.query
    def state(self) -> ApprovalState:
        """Return the approval's state."""
        return self._state

    async def _await_request(self) -> None:
        """Wait until the ledger has the approval; its requester starts this workflow, then records it."""
        self._state = await workflow.execute_activity_method(
            ApprovalActivities.await_request,
            self._ask.approval_id,
            start_to_close_timeout=LEDGER_TIMEOUT,
            schedule_to_close_timeout=_REQUEST_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="wait until the approval is recorded",
        )
        self._is_recorded = True

    async def _wait_until_recorded(self) -> None:
        if not self._is_recorded:
            await workflow.wait_condition(lambda: self._is_recorded)

    async def _wait_or_pass_time(self) -> None:
        """Wait for a state change, or record the next reminder, escalation or expiry when its time has come."""
        seen = self._state.version
        what, at = next_action(self._state.expires_at, self._state.remind_at, self._state.escalate_at)
        try:
            await workflow.wait_condition(
                lambda: self._state.version != seen, timeout=max(at - workflow.now(), timedelta()), timeout_summary=what
            )
        except TimeoutError:
            async with self._recording:
                # with `seen` the ledger ignores this if a handler recorded something while the lock was awaited
                passed = DeadlineAction(self._ask.approval_id, what, seen, workflow.now())
                await self._record(ApprovalActivities.pass_time, passed, what)

    async def _carry_out(self, order: InstructionRef, verbs: list[str]) -> ApprovalState:
        await self._wait_until_recorded()
        async with self._recording:
            if order.command_id in self._carried:
                return self._state
            refuse_decided(self._state)  # it may have been decided while this command waited for the lock
            ordered = RoutedInstruction(self._ask.approval_id, self._ask.owner, order, verbs, workflow.now())
            refusal = await self._record(ApprovalActivities.carry_out, ordered, " or ".join(verbs))
        if refusal is not None:
            raise ApplicationError(refusal.message, refusal.details, type=refusal.name, non_retryable=True)
        self._carried.add(order.command_id)
        return self._state

    async def _record_signal(self, verdict: str, arguments: Sequence[Any]) -> None:
        self._claims += 1
        if self._claims > _MAX_SIGNALS:
            workflow.logger.warning("too many signals: %s is ignored", verdict)
            return
        heard, ask = parse_signal(arguments), self._ask
        await self._wait_until_recorded()
        async with self._recording:
            claim = SignalDecision(
                approval_id=ask.approval_id,
                owner=ask.owner,
                command_id=str(workflow.uuid4()),  # the same on every replay, unlike uuid.uuid4
                verdict=verdict,
                by=heard.by,
                at=workflow.now(),
                comment=heard.comment,
                edited_content=heard.edited_content,
                problem=heard.problem,
            )
            try:
                await self._record(ApprovalActivities.record_claim, claim, f"signal: {verdict}")
            except FailureError as error:  # an unforeseen failure of a signal must not fail the workflow
                workflow.logger.warning("the signal %s was not recorded: %s", verdict, error)

    async def _record_withdrawal(self, reason: str) -> None:
        await self._wait_until_recorded()
        async with self._recording:
            if self._state.decided is None:
                withdrawn = ApprovalWithdrawal(self._ask.approval_id, self._ask.owner, reason, workflow.now())
                await self._record(ApprovalActivities.withdraw, withdrawn, "withdraw")

    async def _record(
        self, method: Callable[[ApprovalActivities, T], ApprovalCommandResult], command: T, summary: str
    ) -> ApprovalRefusal | None:
        """Record a command in the ledger and take over the state it returns. The caller holds `_recording`."""
        stands = await workflow.execute_activity_method(
            method, command, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY, summary=summary
        )
        before, self._state = self._state, stands.state
        if what := classify_transition(before, stands.state):
            self._notices.send(self._state, what)
        self._update_details()
        return stands.refusal

    async def _signal_waiter(self, decided: ApprovalDecision) -> None:
        """Signal the waiting workflow's current run; a run that has ended needs no signal."""
        waiter = workflow.get_external_workflow_handle(self._ask.workflow_id)
        try:
            await waiter.signal(DECIDED_SIGNAL, decided)
        except FailureError as error:
            workflow.logger.info("no workflow waits as %s: %s", self._ask.workflow_id, error)

    def _is_settled(self) -> bool:
        return self._notices.is_done() and workflow.all_handlers_finished()

    def _update_details(self) -> None:
        workflow.set_current_details(render_details(self._ask, self._state))

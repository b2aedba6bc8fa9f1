"""One approval: it waits for people, one decision counts, and whoever waits is told."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.activities import ApprovalActivities
    from activities.approvals.messages import (
        ApprovalStart,
        ApprovalState,
        Claimed,
        Decided,
        Notice,
        Order,
        Ordered,
        Passed,
        Refusal,
        Stands,
        Withdrawn,
    )
    from activities.approvals.notices import notice_of
    from domain.approvals.escalation import due
    from workflows.approvals.messages import WAITER, reason_of, said
    from workflows.approvals.notices import details, happened
    from workflows.shielded import finished
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT

T = TypeVar("T")

_HASH = re.compile("[0-9a-f]{64}")
_MOST_ID = 128
_MOST_CLAIMS = 200
"""Signals that are looked at in all: their history has an end."""
_REQUEST_PATIENCE = timedelta(hours=1)
"""A run whose approval is not recorded after this long was begun by somebody who is gone."""
_DELIVERY_TIMEOUT = timedelta(seconds=30)
_DELIVERY_PATIENCE = timedelta(hours=24)
"""After this long a receiver is not told any more."""
_DELIVERY_RETRY = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(hours=1)
)


@workflow.defn(name="Approval")
class Approval:
    """Handlers and timers record one after the other; the ledger says how it stands after each.

    Signals take any number of arguments: one too many would fail the run's tasks for ever.
    """

    @workflow.init
    def __init__(self, start: ApprovalStart) -> None:
        self._ask = start.ask
        self._state = start.state
        self._tells = start.notices
        self._told: list[asyncio.Task[None]] = []
        self._claims = 0
        self._carried: set[str] = set()
        self._is_recorded = not start.awaits_request
        self._recording = asyncio.Lock()

    @workflow.run
    async def run(self, start: ApprovalStart) -> Decided:  # noqa: ARG002  (kept by `__init__`)
        """Wait for the decision, tell who waits for it, and see the notices off."""
        try:
            if not self._is_recorded:
                await finished(self._await_request())
            self._show()
            if self._state.decided is None:
                self._tell("requested")
            while self._state.decided is None:
                await self._next()
        except (asyncio.CancelledError, ActivityError):
            if workflow.cancellation_reason() is None or not self._is_recorded:
                raise
            await self._take_back("the approval's run was cancelled")
        decided = self._state.decided
        if decided is None:
            raise ApplicationError("the ledger knows no decision", type="INTERNAL_ERROR")
        await self._wake(decided)
        await workflow.wait_condition(self._is_settled)
        return decided

    @workflow.update
    async def decide(self, order: Order) -> ApprovalState:
        """Approve or reject, as an instruction says."""
        return await self._carry_out(order, ["approve", "reject"])

    @workflow.update
    async def delegate(self, order: Order) -> ApprovalState:
        """Put another in one's place, as an instruction says."""
        return await self._carry_out(order, ["delegate"])

    @workflow.update
    async def escalate(self, order: Order) -> ApprovalState:
        """Let it go up, as an instruction says."""
        return await self._carry_out(order, ["escalate"])

    @decide.validator
    def _check_decide(self, order: Order) -> None:
        self._check(order)

    @delegate.validator
    def _check_delegate(self, order: Order) -> None:
        self._check(order)

    @escalate.validator
    def _check_escalate(self, order: Order) -> None:
        self._check(order)

    @workflow.signal
    async def approve(self, *arguments: Any) -> None:
        """Approve, from the Web UI or the command line: a comment, or `{comment, by, edited_content}`."""
        await self._claim("approve", arguments)

    @workflow.signal
    async def reject(self, *arguments: Any) -> None:
        """Reject, from the Web UI or the command line: a comment, or `{comment, by}`."""
        await self._claim("reject", arguments)

    @workflow.signal
    async def carry(self, order: Order, verb: str) -> None:
        """Do what an update was to have done, without an answer; once, should its update come as well."""
        if not workflow.patched("carry"):  # an older worker has ignored it: a replay has to do the same
            return
        try:
            self._check(order)
            await self._carry_out(order, [verb])
        except FailureError as error:  # nobody waits to hear it, and a failing handler would fail the run
            workflow.logger.warning("%s was not done: %s", verb, error)

    @workflow.signal
    async def withdraw(self, *arguments: Any) -> None:
        """Nobody waits any more: `{reason}`, or the reason."""
        await self._take_back(reason_of(arguments))

    @workflow.query
    def state(self) -> ApprovalState:
        """How it stands."""
        return self._state

    async def _await_request(self) -> None:
        """Wait until the ledger has the approval. Whoever asks for it began this run, and records it next."""
        self._state = await workflow.execute_activity_method(
            ApprovalActivities.await_request,
            self._ask.approval_id,
            start_to_close_timeout=LEDGER_TIMEOUT,
            schedule_to_close_timeout=_REQUEST_PATIENCE,
            retry_policy=LEDGER_RETRY,
            summary="wait until it is recorded",
        )
        self._is_recorded = True

    async def _recorded(self) -> None:
        if not self._is_recorded:
            await workflow.wait_condition(lambda: self._is_recorded)

    async def _next(self) -> None:
        """Wait for somebody to do something, or do what time has come for."""
        seen = self._state.version
        what, at = due(self._state.expires_at, self._state.remind_at, self._state.escalate_at)
        try:
            await workflow.wait_condition(
                lambda: self._state.version != seen, timeout=max(at - workflow.now(), timedelta()), timeout_summary=what
            )
        except TimeoutError:
            async with self._recording:
                passed = Passed(self._ask.approval_id, what, seen, workflow.now())
                await self._record(ApprovalActivities.pass_time, passed, what)

    async def _carry_out(self, order: Order, verbs: list[str]) -> ApprovalState:
        await self._recorded()
        async with self._recording:
            if order.command_id in self._carried:
                return self._state
            self._refuse_decided()  # it may have been decided while this one waited
            ordered = Ordered(self._ask.approval_id, self._ask.owner, order, verbs, workflow.now())
            refusal = await self._record(ApprovalActivities.carry_out, ordered, " or ".join(verbs))
        if refusal is not None:
            raise ApplicationError(refusal.message, refusal.details, type=refusal.name, non_retryable=True)
        self._carried.add(order.command_id)
        return self._state

    async def _claim(self, verdict: str, arguments: Sequence[Any]) -> None:
        self._claims += 1
        if self._claims > _MOST_CLAIMS:
            workflow.logger.warning("too many signals: %s is not looked at", verdict)
            return
        heard, ask = said(arguments), self._ask
        await self._recorded()
        async with self._recording:
            claim = Claimed(
                approval_id=ask.approval_id,
                owner=ask.owner,
                command_id=str(workflow.uuid4()),
                verdict=verdict,
                by=heard.by,
                at=workflow.now(),
                comment=heard.comment,
                edited_content=heard.edited_content,
                problem=heard.problem,
            )
            try:
                await self._record(ApprovalActivities.record_claim, claim, f"signal: {verdict}")
            except FailureError as error:  # of a signal in a way that nobody has thought of: the run goes on
                workflow.logger.warning("the signal %s was not recorded: %s", verdict, error)

    async def _take_back(self, reason: str) -> None:
        await self._recorded()
        async with self._recording:
            if self._state.decided is None:
                withdrawn = Withdrawn(self._ask.approval_id, self._ask.owner, reason, workflow.now())
                await self._record(ApprovalActivities.withdraw, withdrawn, "withdraw")

    async def _record(
        self, method: Callable[[ApprovalActivities, T], Stands], command: T, summary: str
    ) -> Refusal | None:
        """Have the ledger decide, and go on from how it stands then. One at a time: hold `_recording`."""
        stands = await workflow.execute_activity_method(
            method, command, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY, summary=summary
        )
        before, self._state = self._state, stands.state
        if what := happened(before, stands.state):
            self._tell(what)
        self._show()
        return stands.refusal

    def _check(self, order: Order) -> None:
        """Refuse at once what cannot count.

        Raises:
            ApplicationError: it is decided (`AlreadyDecided`), or no order can be read (`Invalid`).
        """
        if not (_HASH.fullmatch(order.instruction_hash) and 0 < len(order.command_id) <= _MOST_ID):
            raise ApplicationError("this is no order", type="Invalid", non_retryable=True)
        self._refuse_decided()

    def _refuse_decided(self) -> None:
        decided = self._state.decided
        if decided is not None:
            raise ApplicationError(
                f"this approval was {decided.outcome} already",
                {"approval_id": decided.approval_id, "status": decided.outcome, "by": decided.by},
                type="AlreadyDecided",
                non_retryable=True,
            )

    async def _wake(self, decided: Decided) -> None:
        """Tell the run that waits, whichever of its runs that is now; one that is gone does not mind."""
        waiter = workflow.get_external_workflow_handle(self._ask.workflow_id)
        try:
            await waiter.signal(WAITER, decided)
        except FailureError as error:
            workflow.logger.info("nobody waits in %s: %s", self._ask.workflow_id, error)

    def _tell(self, what: str) -> None:
        """Have a notice sent, without waiting for it."""
        if self._tells:
            notice = notice_of(self._ask, self._state, what, workflow.now())
            self._told.append(asyncio.create_task(self._deliver(notice)))

    async def _deliver(self, notice: Notice) -> None:
        try:
            outcome = await workflow.execute_activity_method(
                ApprovalActivities.deliver_webhook,
                notice,
                start_to_close_timeout=_DELIVERY_TIMEOUT,
                schedule_to_close_timeout=_DELIVERY_PATIENCE,
                retry_policy=_DELIVERY_RETRY,
                summary=notice.type,
            )
        except ActivityError as error:
            workflow.logger.warning("%s was not delivered: %s", notice.type, error.cause)
        else:
            self._tells = self._tells and outcome != "gone"

    def _is_settled(self) -> bool:
        return all(task.done() for task in self._told) and workflow.all_handlers_finished()

    def _show(self) -> None:
        workflow.set_current_details(details(self._ask, self._state))

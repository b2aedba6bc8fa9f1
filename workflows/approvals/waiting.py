"""Waiting for human decisions from within a workflow."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.activities import ApprovalActivities
    from activities.approvals.messages import ApprovalDecision, ApprovalRequest, RequestedApproval
    from workflows.approvals.messages import WithdrawalRequest
    from workflows.search_attributes import truncate_summary
    from workflows.shielded import finish_shielded
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT

T = TypeVar("T")

_POLL_INTERVAL = timedelta(hours=1)
_MAX_POLL_INTERVAL = timedelta(hours=6)
_GRACE = timedelta(minutes=1)
"""Time allowed for a decision to arrive after the approval's expected end."""


@dataclass
class ApprovalWaits:
    """The approvals that one workflow waits for. The workflow passes its signals `approval_decided` on to it."""

    waiting: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    known: dict[str, ApprovalDecision] = field(default_factory=dict)

    def on_decision_signal(self, *arguments: Any) -> None:
        """Note that a signal reports a decision. Anybody can send a signal, so the ledger is read to confirm it."""
        for said in arguments:
            approval_id = said.get("approval_id") if isinstance(said, dict) else getattr(said, "approval_id", None)
            if isinstance(approval_id, str) and approval_id in self.waiting:
                self.heard.add(approval_id)

    async def await_decision(
        self, ask: ApprovalRequest, on_wait: Callable[[str], Awaitable[None]] | None = None
    ) -> ApprovalDecision:
        """Request an approval and wait for the decision; the approval's own rules bound the wait.

        `on_wait` is called with the approval's id once it can be decided, unless it is decided already. Requesting the
        same approval again, as a new run does, finds the existing one. Cancellation leaves the approval open: call
        `withdraw`.

        Raises:
            ActivityError: the approval cannot be requested, for example because its risk is unknown.
        """
        self.waiting.add(ask.approval_id)
        # shielded: a cancellation in between would leave an approval that is never withdrawn
        looks, asked = 0, await finish_shielded(self._request(ask))
        if on_wait is not None and ask.approval_id not in self.known:
            await on_wait(ask.approval_id)
        while ask.approval_id not in self.known:
            looks += 1
            pause = min(_POLL_INTERVAL * looks, _MAX_POLL_INTERVAL)
            ends_in = asked.ends_at + _GRACE - workflow.now()
            has_heard = await self._wait_for_signal(ask.approval_id, max(min(pause, ends_in), _GRACE))
            asked = await self._read_decision(ask, asked, has_heard=has_heard)
        self.waiting.discard(ask.approval_id)
        return self.known[ask.approval_id]

    async def withdraw(self, reason: str) -> None:
        """Withdraw the approvals that are still open. Works while the workflow is being cancelled, too."""
        open_ones = sorted(self.waiting - set(self.known))  # sorted: replays need the same order of commands
        self.waiting.clear()
        await asyncio.gather(*(_send_withdrawal(approval_id, WithdrawalRequest(reason)) for approval_id in open_ones))

    async def _request(self, ask: ApprovalRequest) -> RequestedApproval:
        """Request the approval or read its state, and start its workflow again if it was lost."""
        asked = await workflow.execute_activity_method(
            ApprovalActivities.request_approval,
            ask,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary=truncate_summary(f"request: {ask.title}"),
        )
        if asked.decided is not None:
            self.known[ask.approval_id] = asked.decided
        return asked

    async def _wait_for_signal(self, approval_id: str, within: timedelta) -> bool:
        try:
            await workflow.wait_condition(
                lambda: approval_id in self.heard, timeout=within, timeout_summary="next poll of the decision"
            )
        except TimeoutError:
            return False
        self.heard.discard(approval_id)
        return True

    async def _read_decision(
        self, ask: ApprovalRequest, asked: RequestedApproval, *, has_heard: bool
    ) -> RequestedApproval:
        """Read the decision from the ledger; past the expected end request again, as the workflow may be lost."""
        if not has_heard and workflow.now() >= asked.ends_at:
            return await self._request(ask)
        decided = await workflow.execute_activity_method(
            ApprovalActivities.read_decision,
            ask.approval_id,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="read the decision",
        )
        if decided is not None:
            self.known[ask.approval_id] = decided
        return asked


async def _send_withdrawal(approval_id: str, withdraw: WithdrawalRequest) -> None:
    try:
        await workflow.get_external_workflow_handle(approval_id).signal("withdraw", withdraw)
    except FailureError as error:
        workflow.logger.info("approval %s is over: %s", approval_id, error)


async def record_fact(record: Callable[[Any, T], None], fact: T, summary: str) -> None:
    """Execute an activity that records that a turn waits or resumes."""
    await workflow.execute_activity_method(
        record, fact, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY, summary=summary
    )

"""Steps of `expire-approvals`."""

from asyncio import to_thread
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from activities.approvals.messages import ApprovalDecision, ApprovalStart, decision_of, start_of
from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.approvals import commands, escalation
from domain.approvals.aggregate import Approval
from domain.approvals.commands import ApprovalCommand, command_key
from domain.errors import Unavailable
from domain.events import Cause, Event
from domain.ledger import Ledger
from domain.runbooks.ports import OverdueApprovals

_MOST_ACTIONS = 3
"""Timed actions of an approval that may be due at once: a reminder, an escalation and an expiry."""


class ApprovalSteps:
    """Expires approvals whose workflow has not done so.

    The appends have the idempotency keys of the workflow's own, so whichever comes first counts, and the other changes
    nothing. `start` starts an approval's workflow unless it runs, `notify` tells the waiting workflow of a decision.
    """

    def __init__(
        self,
        ledger: Ledger,
        overdue: OverdueApprovals,
        now: Callable[[], datetime],
        *,
        start: Callable[[ApprovalStart], Awaitable[None]],
        notify: Callable[[str, ApprovalDecision], Awaitable[None]],
        notices: bool,
    ) -> None:
        self._ledger = ledger
        self._overdue = overdue
        self._now = now
        self._start = start
        self._notify = notify
        self._notices = notices

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {("expire-approvals", "find"): self.find, ("expire-approvals", "expire"): self.expire}

    async def find(self, context: RunbookContext) -> StepResult:
        """Count the open approvals whose time has passed."""
        del context
        return {"overdue": await to_thread(self._overdue.count_overdue, self._now())}

    async def expire(self, context: RunbookContext) -> StepResult:
        """Apply what time does to each of them. After a crash the counts are of the last attempt only."""
        found = await to_thread(self._overdue.overdue, self._now(), int(context.parameters["limit"]))
        if context.dry_run:
            return {"would_process": len(found)}
        ends = Counter([await self._settle(approval_id) for approval_id in found])
        return {"processed": len(found), **{status: ends[status] for status in sorted(ends)}}

    async def _settle(self, approval_id: str) -> str:
        """Apply the due actions, and carry the state over to the workflows. Returns the status."""
        approval = await to_thread(self._apply_due_actions, approval_id)
        decided = decision_of(approval)
        if decided is None:  # escalated: its workflow waits on
            await self._start(start_of(approval, notices=self._notices))
        else:
            await self._notify(approval.request.workflow_id, decided)
        return approval.status

    def _apply_due_actions(self, approval_id: str) -> Approval:
        approval = commands.load(self._ledger, approval_id)
        for _ in range(_MOST_ACTIONS):
            what, at = escalation.next_action(approval.expires_at, approval.remind_at, approval.escalate_at)
            if approval.standing is not None or at > self._now():
                return approval
            approval = self._apply(approval_id, approval.version, what)
        return approval

    def _apply(self, approval_id: str, seen: int, what: escalation.TimedAction) -> Approval:
        def decide(approval: Approval) -> list[Event]:
            cause = Cause("platform", f"approval {approval_id}", self._now(), approval.request.tenant_id)
            return escalation.apply_timed_action(approval, what, seen=seen, cause=cause)

        key = command_key(approval_id, f"{what}:{seen}")
        done = commands.change(self._ledger, approval_id, ApprovalCommand(key, decide))
        if isinstance(done.refusal, Unavailable):
            raise done.refusal
        return done.approval

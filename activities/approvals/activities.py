"""Record what happens to an approval, one command at a time for its workflow, and deliver webhook notifications."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import cast

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.approvals.decision_signature import with_signature
from activities.approvals.messages import (
    ApprovalCommandResult,
    ApprovalDecision,
    ApprovalRefusal,
    ApprovalRequest,
    ApprovalStart,
    ApprovalState,
    ApprovalWithdrawal,
    DeadlineAction,
    RequestedApproval,
    RoutedInstruction,
    SignalDecision,
    WebhookNotification,
    decision_of,
    start_of,
    state_of,
)
from activities.approvals.notices import verified_notification
from activities.approvals.request import build_request
from activities.approvals.webhook_delivery import deliver
from domain.approvals import aggregate, commands, policy
from domain.approvals import escalation as passing
from domain.approvals.aggregate import Approval
from domain.approvals.commands import ApprovalCommand, ApprovalOutcome, command_key
from domain.approvals.edits import edit_schema
from domain.approvals.escalation import TimedAction
from domain.approvals.events import ApprovalRequested
from domain.approvals.policy import Decider, DecisionChoice, DecisionVerdict
from domain.approvals.ports import InstructionStore, Webhooks
from domain.approvals.rules import RiskPolicy
from domain.content import ContentStore, content_hash
from domain.errors import DomainError, Forbidden, Invalid
from domain.events import Cause, Event
from domain.ledger import Ledger
from domain.signatures.ports import NO_SIGNER, Signer

PLATFORM = "platform"


class ApprovalActivities:
    """Ledger commands of approvals. All are idempotent: a repeat changes nothing and returns the current state.

    Their arguments come through Temporal, where anybody who can reach the server can put anything. So the owner of a
    text, the permitted deciders and the events so far are read from the ledger, and the requests of authenticated
    callers from `instructions`.

    `start` starts an approval's workflow unless it runs already. Without `webhooks` no notification is sent.
    """

    def __init__(
        self,
        ledger: Ledger,
        instructions: InstructionStore,
        content: ContentStore,
        risks: Callable[[], RiskPolicy],
        now: Callable[[], datetime],
        *,
        start: Callable[[ApprovalStart], Awaitable[None]],
        webhooks: Webhooks | None = None,
        signer: Signer = NO_SIGNER,
    ) -> None:
        self._ledger = ledger
        self._instructions = instructions
        self._content = content
        self._risks = risks
        self._now = now
        self._start = start
        self._webhooks = webhooks
        self._signer = signer

    def all(self) -> list[Callable[..., object]]:
        return [
            self.request_approval,
            self.await_request,
            self.read_decision,
            self.carry_out,
            self.record_claim,
            self.pass_time,
            self.withdraw,
            self.deliver_webhook,
        ]

    @activity.defn(name="request_approval")
    async def request_approval(self, ask: ApprovalRequest) -> RequestedApproval:
        """Record the approval request once, start the approval workflow while undecided, and return the state.

        The workflow is started before the request is recorded, so that every approval that can be read can be decided.
        """
        asked, known = await to_thread(self._prepare_request, ask)
        approval = aggregate.evolve(Approval(), asked) if known.asked is None else known
        if approval.standing is None:
            notices = self._webhooks is not None
            await self._start(start_of(approval, notices=notices, awaits_request=known.asked is None))
        if known.asked is None:
            approval = await to_thread(self._request, asked)
        return RequestedApproval(decision_of(approval), approval.expires_at)

    def _prepare_request(self, ask: ApprovalRequest) -> tuple[ApprovalRequested, Approval]:
        """Build the request by the rules in force, and load the approval."""
        asked = build_request(ask, self._risks().rules_of(ask.risk), self._now())
        known = commands.load(self._ledger, ask.approval_id)
        if known.asked is not None:
            policy.refuse_other_request(known, asked)
        return asked, known

    def _request(self, asked: ApprovalRequested) -> Approval:
        command = ApprovalCommand(f"approval:{asked.approval_id}", lambda approval: policy.request(approval, asked))
        approval = commands.change(self._ledger, asked.approval_id, command).approval
        policy.refuse_other_request(approval, asked)
        return approval

    @activity.defn(name="await_request", no_thread_cancel_exception=True)
    def await_request(self, approval_id: str) -> ApprovalState:
        """Return the state of an approval that is about to be recorded.

        Raises:
            ApplicationError: it is not recorded yet; Temporal retries.
        """
        approval = commands.load(self._ledger, approval_id)
        if approval.asked is None:
            raise ApplicationError(
                "this approval is not recorded yet", type="NotRecorded", category=ApplicationErrorCategory.BENIGN
            )
        return state_of(approval)

    @activity.defn(name="read_decision", no_thread_cancel_exception=True)
    def read_decision(self, approval_id: str) -> ApprovalDecision | None:
        """Return the recorded decision; None while there is none."""
        return decision_of(commands.load(self._ledger, approval_id))

    @activity.defn(name="carry_out", no_thread_cancel_exception=True)
    def carry_out(self, ordered: RoutedInstruction) -> ApprovalCommandResult:
        """Carry out an instruction of an authenticated caller."""
        order, at = ordered.order, self._time()

        def decide(approval: Approval) -> list[Event]:
            instruction = self._instructions.get(ordered.approval_id, order.instruction_hash)
            if instruction is None:
                raise Forbidden("no authenticated caller has recorded this instruction")
            if instruction.verb not in ordered.verbs or instruction.command_id != order.command_id:
                raise Forbidden("this instruction was recorded for another request")
            return instruction.carry_out(approval, _cause(approval, instruction.by, instruction.because, at))

        return self._apply(
            ordered.approval_id, ApprovalCommand(command_key(ordered.approval_id, order.command_id), decide)
        )

    @activity.defn(name="record_claim", no_thread_cancel_exception=True)
    def record_claim(self, claim: SignalDecision) -> ApprovalCommandResult:
        """Decide by a signal, whose sender is not authenticated; one that may not decide is recorded as refused."""
        by, verdict, at = policy.mark_claimed(claim.by), cast("DecisionVerdict", claim.verdict), self._time()
        texts = [claim.comment or None, claim.edited_content or None]
        choice = DecisionChoice(verdict, claim.command_id, *(content_hash(text) if text else None for text in texts))

        def decide(approval: Approval) -> list[Event]:
            if claim.problem:
                raise Invalid(claim.problem)
            if verdict == "approve" and claim.edited_content:
                policy.refuse_edit(approval, claim.edited_content, edit_schema(self._content, approval))
            approval.refuse_decided()
            policy.refuse_expired(approval, at)
            cause = _cause(approval, by, f"signal {verdict}", at)
            return policy.decide(approval, Decider(by, "claimed"), choice, cause)

        def otherwise(approval: Approval, refusal: DomainError) -> list[Event]:
            return policy.refuse_signal(
                approval, verdict, refusal.message, _cause(approval, by, f"signal {verdict}", at)
            )

        command = ApprovalCommand(
            command_key(claim.approval_id, f"signal:{claim.command_id}"),
            decide,
            [text for text in texts if text],
            otherwise,
        )
        return self._apply(claim.approval_id, command)

    @activity.defn(name="pass_time", no_thread_cancel_exception=True)
    def pass_time(self, passed: DeadlineAction) -> ApprovalCommandResult:
        """Remind, escalate or expire, unless the approval has changed since."""
        what, at = cast("TimedAction", passed.what), self._time()

        def decide(approval: Approval) -> list[Event]:
            cause = _cause(approval, PLATFORM, f"approval {passed.approval_id}", at)
            return passing.apply_timed_action(approval, what, seen=passed.seen, cause=cause)

        return self._apply(
            passed.approval_id, ApprovalCommand(command_key(passed.approval_id, f"{what}:{passed.seen}"), decide)
        )

    @activity.defn(name="withdraw", no_thread_cancel_exception=True)
    def withdraw(self, withdrawn: ApprovalWithdrawal) -> ApprovalCommandResult:
        """Withdraw an open approval."""
        reason, at = withdrawn.reason, self._time()

        def decide(approval: Approval) -> list[Event]:
            cause = _cause(approval, PLATFORM, f"approval {withdrawn.approval_id}", at)
            return passing.withdraw(approval, content_hash(reason) if reason else None, cause)

        key = command_key(withdrawn.approval_id, "withdraw")
        return self._apply(withdrawn.approval_id, ApprovalCommand(key, decide, [reason] if reason else []))

    def _apply(self, approval_id: str, command: ApprovalCommand) -> ApprovalCommandResult:
        done = commands.change(self._ledger, approval_id, with_signature(self._signer, command))
        return ApprovalCommandResult(state_of(done.approval), _refusal(done))

    def _time(self) -> datetime:
        """Return the scheduled time by the clock of Temporal's server, which also runs the timers."""
        return activity.info().scheduled_time if activity.in_activity() else self._now()

    @activity.defn(name="deliver_webhook")
    async def deliver_webhook(self, notice: WebhookNotification) -> str:
        """Deliver a notification once: `delivered`, or `gone` when the receiver no longer wants any.

        Raises:
            Forbidden: the ledger has no event that matches the notification.
        """
        if self._webhooks is None:
            return "gone"
        stream = aggregate.stream(str(notice.data.get("approval_id")))
        true = verified_notification(notice, await to_thread(self._ledger.read, stream))
        if true is None:
            raise Forbidden(f"{notice.type}: the ledger has no such event")
        return await deliver(self._webhooks, true)


def _refusal(done: ApprovalOutcome) -> ApprovalRefusal | None:
    refusal = done.refusal
    if refusal is None:
        return None
    details = {name: str(value) for name, value in refusal.details.items()}
    return ApprovalRefusal(type(refusal).__name__, refusal.message, details)


def _cause(approval: Approval, by: str, because: str, at: datetime) -> Cause:
    """A cause in the approval's tenant, as the ledger has it."""
    return Cause(by, because, at, approval.request.tenant_id)

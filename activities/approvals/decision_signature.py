"""Signs the decision among the events of an approval."""

from collections.abc import Sequence
from dataclasses import replace

from domain.approvals.aggregate import Approval
from domain.approvals.commands import ApprovalCommand
from domain.approvals.events import ApprovalDecided
from domain.events import Event
from domain.signatures.ports import Signer
from domain.signatures.statements import ApprovalResult


def with_signature(signer: Signer, command: ApprovalCommand) -> ApprovalCommand:
    """Return the command whose decision, if it makes one, is signed."""

    def decide(approval: Approval) -> list[Event]:
        return _sign_decision(signer, approval, command.decide(approval))

    return replace(command, decide=decide)


def _sign_decision(signer: Signer, approval: Approval, events: Sequence[Event]) -> list[Event]:
    """Return the events decided on an approval, with the signature of the decision among them."""
    return [_sign(signer, approval, event) if isinstance(event, ApprovalDecided) else event for event in events]


def _sign(signer: Signer, approval: Approval, decided: ApprovalDecided) -> ApprovalDecided:
    asked = approval.request
    made = ApprovalResult(
        tenant_id=decided.tenant_id,
        approval_id=decided.approval_id,
        workflow_id=asked.root_id,
        agent_id=asked.agent_id,
        outcome=decided.outcome,
        decided_by=decided.by,
        content_hash=decided.content_hash or asked.content_hash,
        comment_hash=decided.comment_hash,
        at=decided.at,
    )
    return decided.model_copy(update={"signature": signer.sign(made.statement())})

"""What somebody wants done with an approval, written down by whoever has checked their key.

It is kept as content and named by its hash, so that no words travel through Temporal, and so that nobody who only
reaches Temporal can speak in another's name.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from domain.approvals import passing, policy
from domain.approvals.aggregate import Approval
from domain.approvals.passing import Handover
from domain.approvals.policy import Choice, Who
from domain.errors import Forbidden
from domain.events import Cause, Event

Verb = Literal["approve", "reject", "delegate", "escalate"]


class Instruction(BaseModel):
    """One thing to do. `command_id` names it: the same one again is done once.

    `comment_hash` and `content_hash` (the edited text) belong to the ask's owner; `to` is the key to delegate to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_id: str
    command_id: str
    verb: Verb
    by: str
    identity: Literal["proven", "open"]
    because: str
    to: str | None = None
    comment_hash: str | None = None
    content_hash: str | None = None

    def carried_out(self, approval: Approval, cause: Cause) -> list[Event]:
        """The events of doing it now; see `policy` and `passing` for what refuses."""
        who = Who(self.by, self.identity)
        if self.verb in {"approve", "reject"}:
            verdict: policy.Verdict = "approve" if self.verb == "approve" else "reject"
            choice = Choice(verdict, self.command_id, self.comment_hash, self.content_hash)
            return policy.decide(approval, who, choice, cause)
        handover = Handover(self.command_id, self.to, self.comment_hash)
        passed_on = passing.delegate if self.verb == "delegate" else passing.escalate
        return passed_on(approval, who, handover, cause)


def read(text: str | None, approval_id: str) -> Instruction:
    """An instruction as it was written down.

    Raises:
        Forbidden: nobody who checks keys has written this for this approval.
    """
    try:
        instruction = Instruction.model_validate_json(text or "")
    except ValidationError as error:
        raise Forbidden("nobody who checks keys has said this") from error
    if instruction.approval_id != approval_id:
        raise Forbidden("this was said about another approval")
    return instruction

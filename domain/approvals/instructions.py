"""Instructions: requests about approvals, recorded by the component that authenticated the caller.

They have a store of their own, which only the API writes, and are named by their hashes. A text that a caller stores is
never an instruction, whatever it says: otherwise anybody who may write a message could decide in anybody's name.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.approvals import escalation as passing
from domain.approvals import policy
from domain.approvals.aggregate import Approval
from domain.approvals.escalation import ReassignmentRequest
from domain.approvals.policy import Decider, DecisionChoice
from domain.content import content_hash
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.tenant_ids import DEFAULT

Verb = Literal["approve", "reject", "delegate", "escalate"]


class Instruction(BaseModel):
    """One request about an approval. `command_id` identifies it: a repeat is carried out once.

    `comment_hash` and `content_hash` (the edited text) belong to the approval's owner; `to` is the key to delegate to.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    approval_id: str
    tenant_id: str = DEFAULT
    command_id: str
    verb: Verb
    by: str
    identity: Literal["proven", "open"]
    because: str
    to: str | None = None
    comment_hash: str | None = None
    content_hash: str | None = None

    @property
    def text(self) -> str:
        """The stored form."""
        return self.model_dump_json()

    @property
    def hash(self) -> str:
        """Its id among the instructions of its approval."""
        return content_hash(self.text)

    def carry_out(self, approval: Approval, cause: Cause) -> list[Event]:
        """The events of doing it now; see `policy` and `passing` for what refuses.

        Raises:
            NotFound: the approval is another tenant's.
        """
        if approval.request.tenant_id != self.tenant_id:
            raise NotFound("there is no such approval")
        who = Decider(self.by, self.identity)
        if self.verb in {"approve", "reject"}:
            verdict: policy.DecisionVerdict = "approve" if self.verb == "approve" else "reject"
            choice = DecisionChoice(verdict, self.command_id, self.comment_hash, self.content_hash)
            return policy.decide(approval, who, choice, cause)
        handover = ReassignmentRequest(self.command_id, self.to, self.comment_hash)
        passed_on = passing.delegate if self.verb == "delegate" else passing.escalate
        return passed_on(approval, who, handover, cause)

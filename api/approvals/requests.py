"""Request models of approvals."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.http.schemas import Body

MAX_COMMENT = 10_000
MAX_BATCH = 100
_Comment = Annotated[str, Field(max_length=MAX_COMMENT)]
_Reason = Annotated[str, Field(min_length=1, max_length=MAX_COMMENT, pattern=r"\S")]
_Edited = Annotated[
    str,
    Field(min_length=1, pattern=r"\S", description="Replaces the content; a JSON object for a tool call."),
]


class ApproveRequest(Body):
    """Approve the content, as it is or with an edit."""

    comment: _Comment | None = None
    edited_content: _Edited | None = None


class RejectRequest(Body):
    """Reject the content."""

    reason: _Reason


class DelegateRequest(Body):
    """Delegate one's decision to another key."""

    to: Annotated[str, Field(pattern=r"^[!-~]{1,128}$", description="The id of the key.")]
    comment: _Comment | None = None


class EscalateRequest(Body):
    """Escalate to the deciders of the next level."""

    comment: _Comment | None = None


class BatchDecision(Body):
    """One decision of a batch: `approve` has the fields of a single approval, `reject` needs a `reason`."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    decision: Literal["approve", "reject"]
    comment: _Comment | None = None
    reason: _Reason | None = None
    edited_content: _Edited | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        taken = {"approve": {"comment", "edited_content"}, "reject": {"reason"}}[self.decision]
        given = {name for name in ("comment", "reason", "edited_content") if getattr(self, name) is not None}
        if given - taken:
            raise ValueError(f"{self.decision} takes no {' and no '.join(sorted(given - taken))}")
        if self.decision == "reject" and self.reason is None:
            raise ValueError("reject needs a reason")
        return self


class BatchRequest(Body):
    """Decisions, each about another approval."""

    decisions: Annotated[list[BatchDecision], Field(min_length=1, max_length=MAX_BATCH)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({decision.id for decision in self.decisions}) < len(self.decisions):
            raise ValueError("an approval is decided once")
        return self

"""The request and the result of a turn."""

from dataclasses import dataclass, field
from decimal import Decimal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.chat.messages import Ancestor, StepResult
    from domain.chat.events import FailureCode
    from domain.ids import derived_hex

_REFUSAL_REASONS = {
    "rejected": "a person rejected it",
    "expired": "nobody decided in time",
    "withdrawn": "it was withdrawn",
}


@dataclass(frozen=True)
class ConversationMemory:
    """The part of a conversation that prompts hold: turns from `first` on verbatim, earlier ones as a summary.

    `lineage` locates the first turns of a forked session.
    """

    first: int = 1
    summary_hash: str | None = None
    lineage: list[Ancestor] = field(default_factory=list)


REVOKED = "revoked"
"""Status of a message that arrived after its sender had been told that it was not accepted."""


@dataclass(frozen=True)
class TurnResult:
    """The result of a turn: `completed`, `failed` or `rejected`; `code` and `error` explain a missing answer.

    A `revoked` turn was never begun: its sender had been told that it was not accepted. `answer` is that of the last
    step. Tokens and cost (US dollars) are those of the whole turn. `details` name the limit that was reached.
    """

    status: str
    answer: StepResult | None = None
    reply_hash: str | None = None
    code: FailureCode | None = None
    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    tools_used: tuple[str, ...] = ()
    approval_id: str | None = None
    details: dict[str, str] = field(default_factory=dict)


class TurnRefused(Exception):  # noqa: N818  (a refusal is a result, not a fault)
    """A turn that cannot be answered, for a reason that no activity has raised."""

    def __init__(self, code: FailureCode, message: str, details: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code: FailureCode = code
        self.message = message
        self.details = details or {}


def complete_turn(answers: list[StepResult], tools_used: list[str]) -> TurnResult:
    """Return the result of a turn that the last of these answers completes."""
    return TurnResult(
        "completed",
        answer=answers[-1],
        reply_hash=answers[-1].reply_hash,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        cost=sum((Decimal(answer.cost) for answer in answers), Decimal(0)),
        tools_used=tuple(dict.fromkeys(tools_used)),
    )


def approval_id(*intent: object) -> str:
    """Return the approval id of an intent: the same intent never requests two approvals."""
    return f"approval_{derived_hex('approval', *intent)}"


def explain_refusal(decided: ApprovalDecision) -> str:
    """Return the reason for which something was not approved, as a sentence for the record."""
    return _REFUSAL_REASONS.get(decided.outcome, decided.outcome)

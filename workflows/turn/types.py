"""What a turn is to be like, and what became of it."""

from dataclasses import dataclass, field
from decimal import Decimal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import Decided
    from activities.chat.activities import Ancestor
    from activities.chat.messages import Answer
    from domain.chat.events import FailureCode
    from domain.ids import derived
    from domain.message_parts import Part

_SAID_NO = {"rejected": "a person rejected it", "expired": "nobody decided in time", "withdrawn": "it was withdrawn"}


@dataclass(frozen=True)
class Remembered:
    """What prompts hold: the turns from `first` on word for word, those before as a summary.

    `lineage` says where the first turns of a fork stand.
    """

    first: int = 1
    summary_hash: str | None = None
    lineage: list[Ancestor] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """What a turn is to be like.

    With `parts` its message is made of these; `shape` (with the `options` to choose from) is what the answer has to be
    like; `tools` are offered instead of the agent's own; with `hold`, a risk, a person has to let the answer go.
    `depth` counts the turns that it was delegated through.
    """

    visit: int = 1
    remembered: Remembered = field(default_factory=Remembered)
    parts: list[Part] = field(default_factory=list)
    shape: str | None = None
    options: list[str] = field(default_factory=list)
    tools: list[str] | None = None
    hold: str | None = None
    depth: int = 0


REVOKED = "revoked"
"""The status of a message that arrived after its sender had been told that it was not accepted."""


@dataclass(frozen=True)
class Taken:
    """A turn that is over: `completed`, `failed` or `rejected`; `code` and `error` say why there is no answer.

    One that is `revoked` has never been: its sender was told that it is not accepted.

    `answer` is the last step's. Tokens and cost (US dollars) are the whole turn's.
    """

    status: str
    answer: Answer | None = None
    reply_hash: str | None = None
    code: FailureCode | None = None
    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    tools_used: tuple[str, ...] = ()
    approval_id: str | None = None


class TurnRefused(Exception):  # noqa: N818  (a refusal is an answer)
    """A turn that cannot be answered, for a reason that no activity has."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code: FailureCode = code
        self.message = message


def taken(answers: list[Answer], tools_used: list[str]) -> Taken:
    """A turn that the last of these answers has completed."""
    return Taken(
        "completed",
        answer=answers[-1],
        reply_hash=answers[-1].reply_hash,
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        completion_tokens=sum(answer.completion_tokens for answer in answers),
        cost=sum((Decimal(answer.cost) for answer in answers), Decimal(0)),
        tools_used=tuple(dict.fromkeys(tools_used)),
    )


def approval_id(*intent: object) -> str:
    """The id of the approval of this intent: the same intent never asks twice."""
    return f"approval_{derived('approval', *intent).replace('-', '')}"


def said_no(decided: Decided) -> str:
    """Why something was not let go, in a sentence for the record."""
    return _SAID_NO.get(decided.outcome, decided.outcome)

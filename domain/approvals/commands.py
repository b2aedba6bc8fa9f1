"""Commands on approvals, through the ledger."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.approvals import aggregate
from domain.approvals.aggregate import Approval
from domain.content import Content
from domain.errors import DomainError, Unavailable
from domain.events import Event
from domain.ledger import Change, Ledger, retry_on_conflict


def command_key(approval_id: str, command_id: str) -> str:
    """Return the idempotency key of the append that carries a command out."""
    return f"approval:{approval_id}:{command_id}"


@dataclass(frozen=True, slots=True)
class ApprovalCommand:
    """A decision to append, its idempotency key, and its new texts, which belong to the request's owner.

    `otherwise` decides the events to append if it is refused.
    """

    key: str
    decide: Callable[[Approval], list[Event]]
    texts: Sequence[str] = ()
    otherwise: Callable[[Approval, DomainError], list[Event]] = lambda _approval, _refusal: []


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """The approval after a command, and the refusal if the command was refused."""

    approval: Approval
    refusal: DomainError | None = None


def load(ledger: Ledger, approval_id: str) -> Approval:
    """Load an approval; one that was never requested has version 0."""
    return aggregate.load(ledger.read(aggregate.stream(approval_id)))


def change(ledger: Ledger, approval_id: str, command: ApprovalCommand) -> ApprovalOutcome:
    """Decide and append. A repeat under the same key changes nothing and returns the current state.

    Raises:
        NotFound: there is no such approval.
        Unavailable: the ledger cannot be reached. Any other refusal is part of the result.
    """
    return retry_on_conflict(lambda: _change(ledger, approval_id, command))


def _change(ledger: Ledger, approval_id: str, command: ApprovalCommand) -> ApprovalOutcome:
    stream = aggregate.stream(approval_id)
    approval, refusal, texts = load(ledger, approval_id), None, command.texts
    try:
        events = command.decide(approval)
    except Unavailable:
        raise
    except DomainError as refused:
        if approval.asked is None:
            raise
        events, refusal, texts = command.otherwise(approval, refused), refused, ()
    if not events:
        return ApprovalOutcome(approval, refusal)
    after = aggregate.evolve_all(approval, events)
    content = [Content(after.request.owner, text) for text in texts]
    if ledger.append(Change(stream, approval.version, events), key=command.key, content=content) is None:
        return ApprovalOutcome(load(ledger, approval_id), refusal)
    return ApprovalOutcome(after, refusal)

"""One approval: its request, its current deciders, and its one decision."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Literal

from domain.approvals.events import (
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalSignalRefused,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from domain.errors import Conflict, NotFound
from domain.events import Event

Status = Literal["pending", "escalated", "approved", "rejected", "expired", "withdrawn"]
OPEN: tuple[Status, ...] = ("pending", "escalated")
_NEVER = datetime.max.replace(tzinfo=UTC)


def stream(approval_id: str) -> str:
    return f"approval:{approval_id}"


@dataclass(frozen=True, slots=True)
class DecisionState:
    """The decision: `approved`, `rejected`, `expired` or `withdrawn`."""

    status: Status
    by: str
    at: datetime
    comment_hash: str | None = None
    content_hash: str | None = None


class AlreadyDecided(Conflict):
    """The approval is decided. `details` hold the decision: `approval_id, status, by, at`."""

    def __init__(self, approval_id: str, standing: DecisionState) -> None:
        super().__init__(
            f"this approval was {standing.status} already",
            approval_id=approval_id,
            status=standing.status,
            by=standing.by,
            at=standing.at,
        )
        self.standing = standing


@dataclass(frozen=True, slots=True)
class Approval:
    """`asked` is None while it does not exist. `deciders` and the times are the current ones.

    `commands` are the ids of the commands carried out, so that a repeat changes nothing.
    """

    version: int = 0
    asked: ApprovalRequested | None = None
    status: Status = "pending"
    deciders: tuple[str, ...] = ()
    votes: tuple[str, ...] = ()
    expires_at: datetime = _NEVER
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    standing: DecisionState | None = None
    commands: frozenset[str] = frozenset()
    delegations: int = 0
    refusals: int = 0

    @property
    def request(self) -> ApprovalRequested:
        """The request.

        Raises:
            NotFound: there is none.
        """
        if self.asked is None:
            raise NotFound("there is no such approval")
        return self.asked

    def refuse_decided(self) -> None:
        """Return if the approval is open.

        Raises:
            NotFound: there is no such approval.
            AlreadyDecided: it is decided.
        """
        asked = self.request
        if self.standing is not None:
            raise AlreadyDecided(asked.approval_id, self.standing)


def evolve(approval: Approval, event: Event) -> Approval:
    known = replace(approval, version=approval.version + 1)
    match event:
        case ApprovalRequested():
            known = _apply_request(known, event)
        case ApprovalDecided():
            standing = DecisionState(event.outcome, event.by, event.at, event.comment_hash, event.content_hash)
            known = _add_command(_apply_decision(known, standing), event.command_id)
        case ApprovalVoted():
            known = _add_command(replace(known, votes=(*known.votes, event.by)), event.command_id)
        case ApprovalDelegated():
            known = _apply_delegation(known, event)
        case ApprovalEscalated():
            known = _apply_escalation(known, event)
        case ApprovalReminded():
            known = replace(known, remind_at=None)
        case ApprovalExpired():
            known = _apply_decision(known, DecisionState("expired", event.by, event.at))
        case ApprovalWithdrawn():
            known = _apply_decision(known, DecisionState("withdrawn", event.by, event.at, event.reason_hash))
        case ApprovalSignalRefused():
            known = replace(known, refusals=known.refusals + 1)
    return known


def evolve_all(approval: Approval, events: Iterable[Event]) -> Approval:
    return reduce(evolve, events, approval)


def load(events: Iterable[Event]) -> Approval:
    return evolve_all(Approval(), events)


def _apply_request(approval: Approval, event: ApprovalRequested) -> Approval:
    return replace(
        approval,
        asked=event,
        deciders=event.rules.deciders,
        expires_at=event.expires_at,
        remind_at=event.remind_at,
        escalate_at=event.escalate_at,
    )


def _apply_decision(approval: Approval, standing: DecisionState) -> Approval:
    return replace(approval, status=standing.status, standing=standing, remind_at=None, escalate_at=None)


def _apply_delegation(approval: Approval, event: ApprovalDelegated) -> Approval:
    passed = replace(approval, deciders=event.deciders, remind_at=event.remind_at, delegations=approval.delegations + 1)
    return _add_command(passed, event.command_id)


def _apply_escalation(approval: Approval, event: ApprovalEscalated) -> Approval:
    escalated = replace(
        approval,
        status="escalated",
        deciders=event.deciders,
        expires_at=event.expires_at,
        remind_at=event.remind_at,
        escalate_at=None,
    )
    return _add_command(escalated, event.command_id)


def _add_command(approval: Approval, command_id: str) -> Approval:
    return replace(approval, commands=approval.commands | {command_id})

"""How an approval goes from hand to hand and comes to its end: pure decisions that refuse or return events."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.approvals.aggregate import Approval
from domain.approvals.events import (
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalWithdrawn,
)
from domain.approvals.policy import Who, admit
from domain.approvals.rules import ANYBODY, Rules
from domain.errors import Conflict, Invalid
from domain.events import Cause, Event

Due = Literal["remind", "escalate", "expire"]

MOST_DELEGATIONS = 50


def moments(rules: Rules, at: datetime) -> dict[str, datetime | None]:
    """When it is to be said again, to go up, and to end, if it is asked at `at`."""
    return {
        "expires_at": at + timedelta(seconds=rules.expires_after_s),
        "remind_at": _later(at, rules.remind_after_s),
        "escalate_at": _later(at, rules.escalate_after_s),
    }


def _later(at: datetime, seconds: float | None) -> datetime | None:
    return at + timedelta(seconds=seconds) if seconds is not None else None


def due(expires_at: datetime, remind_at: datetime | None, escalate_at: datetime | None) -> tuple[Due, datetime]:
    """What time does next, and when. The end goes before what falls together with it."""
    steps: list[tuple[datetime, int, Due]] = [(expires_at, 0, "expire")]
    if escalate_at is not None:
        steps.append((escalate_at, 1, "escalate"))
    if remind_at is not None:
        steps.append((remind_at, 2, "remind"))
    at, _, what = min(steps)
    return what, at


@dataclass(frozen=True, slots=True)
class Handover:
    """Somebody's wish to pass it on: to the key `to`, or, without one, up."""

    command_id: str
    to: str | None = None
    comment_hash: str | None = None


def delegate(approval: Approval, who: Who, handover: Handover, cause: Cause) -> list[Event]:
    """Put another key in one's place. Whoever decides alone gives it away as a whole.

    Raises:
        AlreadyDecided, Forbidden, NotFound: as for `decide`.
        Conflict: there is no place to give away.
        Invalid: `to` may not decide it either.
    """
    asked = approval.known
    if handover.command_id in approval.commands:
        return []
    approval.refuse_decided()
    admit(approval, who)
    to = handover.to or ""
    _refuse_delegate(approval, who, to)
    deciders = _in_place(approval, who, to)
    return [
        ApprovalDelegated(
            approval_id=asked.approval_id,
            command_id=handover.command_id,
            to=to,
            deciders=deciders,
            comment_hash=handover.comment_hash,
            remind_at=_before(approval.expires_at, _later(cause.at, asked.rules.remind_after_s)),
            **cause.fields(),
        )
    ]


def _refuse_delegate(approval: Approval, who: Who, to: str) -> None:
    asked = approval.known
    if who.by in approval.votes:
        raise Conflict(f"{who.by} has agreed to this already")
    if approval.delegations >= MOST_DELEGATIONS:
        raise Conflict(f"this was passed on {approval.delegations} times: somebody has to decide it")
    reason = None
    if to in {"", ANYBODY}:
        reason = "the id of one key"
    elif to == who.by or to in approval.votes:
        reason = "somebody else, who has not agreed yet"
    elif asked.rules.separation and to == asked.requested_by:
        reason = "not whoever asked: they may not decide this"
    if reason:
        raise Invalid(f"to: {reason}", field="to", reason=reason)


def _in_place(approval: Approval, who: Who, to: str) -> tuple[str, ...]:
    quorum = approval.known.rules.quorum
    if quorum == 1 and (approval.deciders == (ANYBODY,) or who.identity == "open"):
        return (to,)
    if approval.deciders == (ANYBODY,):
        raise Conflict(f"any {quorum} may agree to this: there is no place to give away")
    deciders = tuple(dict.fromkeys(to if key == who.by else key for key in approval.deciders))
    if len(deciders) < quorum:
        raise Conflict(f"{quorum} have to agree to this, and there would be {len(deciders)} left")
    return deciders


def _before(end: datetime, at: datetime | None) -> datetime | None:
    return at if at is not None and at < end else None


def escalate(approval: Approval, who: Who, handover: Handover, cause: Cause) -> list[Event]:
    """Let those decide whom the rules name for that, with their whole time before them.

    Raises:
        AlreadyDecided, Forbidden, NotFound: as for `decide`.
        Conflict: it went up already.
    """
    if handover.command_id in approval.commands:
        return []
    approval.refuse_decided()
    admit(approval, who)
    if approval.status == "escalated":
        raise Conflict("this went up already", deciders=list(approval.deciders))
    return [_escalation(approval, "asked", handover, cause)]


def _escalation(
    approval: Approval, why: Literal["asked", "undecided", "expired"], handover: Handover, cause: Cause
) -> ApprovalEscalated:
    asked = approval.known
    ends = cause.at + timedelta(seconds=asked.rules.expires_after_s)
    return ApprovalEscalated(
        approval_id=asked.approval_id,
        command_id=handover.command_id,
        why=why,
        deciders=asked.rules.escalate_to,
        expires_at=ends,
        remind_at=_before(ends, _later(cause.at, asked.rules.remind_after_s)),
        comment_hash=handover.comment_hash,
        **cause.fields(),
    )


def pass_time(approval: Approval, what: Due, *, seen: int, cause: Cause) -> list[Event]:
    """What time does, to the approval as it was at version `seen`; nothing if it is another one by now.

    Nothing either before its time, which the approval itself knows: whoever says that it has come may be mistaken.
    """
    asked = approval.known
    if approval.standing is not None or approval.version != seen or not _is_due(approval, what, cause.at):
        return []
    by_itself = Handover(command_id=f"{what}:{seen}")
    if what == "remind":
        return [ApprovalReminded(approval_id=asked.approval_id, **cause.fields())]
    if what == "escalate" and approval.status == "pending":
        return [_escalation(approval, "undecided", by_itself, cause)]
    if what == "escalate":
        return []
    if asked.rules.on_expiry == "escalate" and approval.status == "pending":
        return [_escalation(approval, "expired", by_itself, cause)]
    return [ApprovalExpired(approval_id=asked.approval_id, **cause.fields())]


def _is_due(approval: Approval, what: Due, at: datetime) -> bool:
    moment = {"remind": approval.remind_at, "escalate": approval.escalate_at, "expire": approval.expires_at}[what]
    return moment is not None and at >= moment


def withdraw(approval: Approval, reason_hash: str | None, cause: Cause) -> list[Event]:
    """Nobody waits any more; nothing if it is over."""
    asked = approval.known
    if approval.standing is not None:
        return []
    return [ApprovalWithdrawn(approval_id=asked.approval_id, reason_hash=reason_hash, **cause.fields())]

"""Delegation, escalation, expiry and withdrawal of an approval: pure decisions that refuse or return events."""

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
from domain.approvals.policy import Decider, admit
from domain.approvals.rules import ANYBODY, ApprovalRules
from domain.errors import Conflict, Invalid
from domain.events import Cause, Event

TimedAction = Literal["remind", "escalate", "expire"]

MOST_DELEGATIONS = 50


def deadlines(rules: ApprovalRules, at: datetime) -> dict[str, datetime | None]:
    """Return the times of reminder, escalation and expiry of an approval requested at `at`."""
    return {
        "expires_at": at + timedelta(seconds=rules.expires_after_s),
        "remind_at": _later(at, rules.remind_after_s),
        "escalate_at": _later(at, rules.escalate_after_s),
    }


def _later(at: datetime, seconds: float | None) -> datetime | None:
    return at + timedelta(seconds=seconds) if seconds is not None else None


def next_action(
    expires_at: datetime, remind_at: datetime | None, escalate_at: datetime | None
) -> tuple[TimedAction, datetime]:
    """Return the next timed action and its time. Of simultaneous ones, expiry comes first."""
    steps: list[tuple[datetime, int, TimedAction]] = [(expires_at, 0, "expire")]
    if escalate_at is not None:
        steps.append((escalate_at, 1, "escalate"))
    if remind_at is not None:
        steps.append((remind_at, 2, "remind"))
    at, _, what = min(steps)
    return what, at


@dataclass(frozen=True, slots=True)
class ReassignmentRequest:
    """A request to delegate to the key `to`, or, without one, to escalate."""

    command_id: str
    to: str | None = None
    comment_hash: str | None = None


def delegate(approval: Approval, who: Decider, handover: ReassignmentRequest, cause: Cause) -> list[Event]:
    """Replace a decider by another key. A sole decider is replaced as a whole.

    Raises:
        AlreadyDecided, Forbidden, NotFound: as for `decide`.
        Conflict: no decider can be replaced.
        Invalid: `to` may not decide it.
    """
    asked = approval.request
    if handover.command_id in approval.commands:
        return []
    approval.refuse_decided()
    admit(approval, who)
    to = handover.to or ""
    _refuse_delegate(approval, who, to)
    deciders = _replace_decider(approval, who, to)
    return [
        ApprovalDelegated(
            approval_id=asked.approval_id,
            command_id=handover.command_id,
            to=to,
            deciders=deciders,
            comment_hash=handover.comment_hash,
            remind_at=_if_before(approval.expires_at, _later(cause.at, asked.rules.remind_after_s)),
            **cause.fields(),
        )
    ]


def _refuse_delegate(approval: Approval, who: Decider, to: str) -> None:
    asked = approval.request
    if who.by in approval.votes:
        raise Conflict(f"{who.by} has agreed to this already")
    if approval.delegations >= MOST_DELEGATIONS:
        raise Conflict(f"this was delegated {approval.delegations} times: it has to be decided now")
    reason = None
    if to in {"", ANYBODY}:
        reason = "the id of one key"
    elif to == who.by or to in approval.votes:
        reason = "somebody else, who has not agreed yet"
    elif asked.rules.separation and to == asked.requested_by:
        reason = "not the requester: they may not decide this"
    if reason:
        raise Invalid(f"to: {reason}", field="to", reason=reason)


def _replace_decider(approval: Approval, who: Decider, to: str) -> tuple[str, ...]:
    quorum = approval.request.rules.quorum
    if quorum == 1 and (approval.deciders == (ANYBODY,) or who.identity == "open"):
        return (to,)
    if approval.deciders == (ANYBODY,):
        raise Conflict(f"any {quorum} keys may agree to this: there is no decider to replace")
    deciders = tuple(dict.fromkeys(to if key == who.by else key for key in approval.deciders))
    if len(deciders) < quorum:
        raise Conflict(f"{quorum} have to agree to this, and there would be {len(deciders)} left")
    return deciders


def _if_before(end: datetime, at: datetime | None) -> datetime | None:
    return at if at is not None and at < end else None


def escalate(approval: Approval, who: Decider, handover: ReassignmentRequest, cause: Cause) -> list[Event]:
    """Escalate to the deciders that the rules name for that, with a full period until expiry.

    Raises:
        AlreadyDecided, Forbidden, NotFound: as for `decide`.
        Conflict: it is escalated already.
    """
    if handover.command_id in approval.commands:
        return []
    approval.refuse_decided()
    admit(approval, who)
    if approval.status == "escalated":
        raise Conflict("this is escalated already", deciders=list(approval.deciders))
    return [_escalation(approval, "asked", handover, cause)]


def _escalation(
    approval: Approval, why: Literal["asked", "undecided", "expired"], handover: ReassignmentRequest, cause: Cause
) -> ApprovalEscalated:
    asked = approval.request
    ends = cause.at + timedelta(seconds=asked.rules.expires_after_s)
    return ApprovalEscalated(
        approval_id=asked.approval_id,
        command_id=handover.command_id,
        why=why,
        deciders=asked.rules.escalate_to,
        expires_at=ends,
        remind_at=_if_before(ends, _later(cause.at, asked.rules.remind_after_s)),
        comment_hash=handover.comment_hash,
        **cause.fields(),
    )


def apply_timed_action(approval: Approval, what: TimedAction, *, seen: int, cause: Cause) -> list[Event]:
    """Decide a timed action on the approval as it was at version `seen`; nothing if it has changed since.

    Nothing either before its time: the approval itself knows it, and the caller's clock may be wrong.
    """
    asked = approval.request
    if approval.standing is not None or approval.version != seen or not _is_due(approval, what, cause.at):
        return []
    by_itself = ReassignmentRequest(command_id=f"{what}:{seen}")
    if what == "remind":
        return [ApprovalReminded(approval_id=asked.approval_id, **cause.fields())]
    if what == "escalate" and approval.status == "pending":
        return [_escalation(approval, "undecided", by_itself, cause)]
    if what == "escalate":
        return []
    if asked.rules.on_expiry == "escalate" and approval.status == "pending":
        return [_escalation(approval, "expired", by_itself, cause)]
    return [ApprovalExpired(approval_id=asked.approval_id, **cause.fields())]


def _is_due(approval: Approval, what: TimedAction, at: datetime) -> bool:
    moment = {"remind": approval.remind_at, "escalate": approval.escalate_at, "expire": approval.expires_at}[what]
    return moment is not None and at >= moment


def withdraw(approval: Approval, reason_hash: str | None, cause: Cause) -> list[Event]:
    """Withdraw an approval that nothing waits for any more; nothing if it is decided."""
    asked = approval.request
    if approval.standing is not None:
        return []
    return [ApprovalWithdrawn(approval_id=asked.approval_id, reason_hash=reason_hash, **cause.fields())]

"""What may be done with an approval, by whom, and what time does: pure decisions that refuse or return events."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.approvals.aggregate import Approval
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
from domain.approvals.rules import ANYBODY, Rules
from domain.errors import Conflict, Forbidden, Invalid
from domain.events import Cause, Event

Identity = Literal["proven", "open", "claimed"]
Verdict = Literal["approve", "reject"]
Due = Literal["remind", "escalate", "expire"]

MOST_DELEGATIONS = 50
MOST_REFUSALS = 50
"""Refused signals that are recorded; those after them are not worth the room."""
_SEVERAL = "several have to agree on the same text: reject it instead of editing it"


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who wants something.

    `identity`: a key was checked (`proven`), keys are not asked for (`open`), or it is only said (`claimed`).
    """

    by: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody decides, with the hashes of what they say and of the text as they edited it."""

    verdict: Verdict
    command_id: str
    comment_hash: str | None = None
    content_hash: str | None = None


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


def request(approval: Approval, asked: ApprovalRequested) -> list[Event]:
    """Ask for a decision; nothing if that was done already."""
    return [] if approval.version else [asked]


def refuse_edit(approval: Approval, edited: str | None) -> None:
    """Refuse an edited text that could not go on.

    Raises:
        Invalid: several have to agree on the text, or a tool's arguments are no JSON object.
    """
    asked = approval.known
    if edited is None:
        return
    reason = _SEVERAL if asked.rules.quorum > 1 else None
    if asked.kind == "tool_call" and not _is_object(edited):
        reason = "the arguments of a tool are a JSON object"
    if reason:
        raise Invalid(f"edited_content: {reason}", field="edited_content", reason=reason)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def takes_claims(approval: Approval) -> bool:
    """Whether somebody may decide who cannot prove who they are."""
    rules = approval.known.rules
    return approval.deciders == (ANYBODY,) and rules.quorum == 1 and not rules.separation


def admit(approval: Approval, who: Who) -> None:
    """Refuse who may not decide this now.

    Raises:
        Forbidden: it is not theirs to decide, or they cannot prove that it is.
    """
    asked = approval.known
    rules = asked.rules
    anybody = approval.deciders == (ANYBODY,)
    if who.identity != "proven" and rules.separation:
        raise Forbidden("whoever asked may not decide this, so it takes a key to decide it")
    if who.identity != "proven" and rules.quorum > 1:
        raise Forbidden(f"{rules.quorum} have to agree to this, so it takes a key to decide it")
    if who.identity == "claimed" and not anybody:
        raise Forbidden("only some may decide this, so it takes a key to decide it")
    if rules.separation and who.by == asked.requested_by:
        raise Forbidden("whoever asked may not decide this")
    if who.identity == "proven" and not anybody and who.by not in approval.deciders:
        raise Forbidden("this is not yours to decide", deciders=list(approval.deciders))


def decide(approval: Approval, who: Who, choice: Choice, cause: Cause) -> list[Event]:
    """Decide, or agree as one of several. The first decision stands; the same command again changes nothing.

    Raises:
        NotFound: there is no such approval.
        AlreadyDecided: another decision stands.
        Forbidden: it is not theirs to decide.
        Conflict: they have agreed already.
        Invalid: the text is edited where several have to agree on it.
    """
    asked = approval.known
    if choice.command_id in approval.commands:
        return []
    approval.refuse_decided()
    admit(approval, who)
    if choice.verdict == "reject":
        return [_decision(asked, choice, "rejected", cause)]
    if choice.content_hash is not None and asked.rules.quorum > 1:
        raise Invalid(_SEVERAL, field="edited_content", reason=_SEVERAL)
    if who.by in approval.votes:
        raise Conflict(f"{who.by} has agreed to this already")
    if asked.rules.quorum == 1:
        return [_decision(asked, choice, "approved", cause)]
    return _agree(approval, choice, cause)


def _agree(approval: Approval, choice: Choice, cause: Cause) -> list[Event]:
    asked = approval.known
    voted = ApprovalVoted(
        approval_id=asked.approval_id,
        command_id=choice.command_id,
        comment_hash=choice.comment_hash,
        **cause.fields(),
    )
    is_last = len(approval.votes) + 1 >= asked.rules.quorum
    return [voted, _decision(asked, choice, "approved", cause)] if is_last else [voted]


def _decision(
    asked: ApprovalRequested, choice: Choice, outcome: Literal["approved", "rejected"], cause: Cause
) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id=asked.approval_id,
        command_id=choice.command_id,
        outcome=outcome,
        comment_hash=choice.comment_hash,
        content_hash=choice.content_hash if outcome == "approved" else None,
        **cause.fields(),
    )


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
    """What time does, to the approval as it was at version `seen`; nothing if it is another one by now."""
    asked = approval.known
    if approval.standing is not None or approval.version != seen:
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


def withdraw(approval: Approval, reason_hash: str | None, cause: Cause) -> list[Event]:
    """Nobody waits any more; nothing if it is over."""
    asked = approval.known
    if approval.standing is not None:
        return []
    return [ApprovalWithdrawn(approval_id=asked.approval_id, reason_hash=reason_hash, **cause.fields())]


def refuse_signal(approval: Approval, signal: Verdict, reason: str, cause: Cause) -> list[Event]:
    """Remember a signal that could not decide."""
    if approval.refusals >= MOST_REFUSALS:
        return []
    return [
        ApprovalSignalRefused(approval_id=approval.known.approval_id, signal=signal, reason=reason, **cause.fields())
    ]

"""Who may decide an approval, and what comes of it: pure decisions that refuse or return events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.approvals.aggregate import Approval
from domain.approvals.edits import problem_with_edit
from domain.approvals.events import ApprovalDecided, ApprovalRequested, ApprovalSignalRefused, ApprovalVoted
from domain.approvals.rules import ANYBODY
from domain.errors import Conflict, Forbidden, Invalid
from domain.events import Cause, Event

Identity = Literal["proven", "open", "claimed"]
Verdict = Literal["approve", "reject"]

MOST_REFUSALS = 50
"""Refused signals that are recorded; those after them are not worth the room."""
_CLAIMED = "claimed:"
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


def request(approval: Approval, asked: ApprovalRequested) -> list[Event]:
    """Ask for a decision; nothing if that was done already."""
    return [] if approval.version else [asked]


_QUESTION = ("kind", "risk", "owner", "content_hash", "payload_hash", "workflow_id", "requested_by", "schema_hash")


def refuse_other_question(approval: Approval, asked: ApprovalRequested) -> None:
    """Refuse to take the approval for one that was asked for differently: its decision would answer another question.

    Ids of approvals can be foreseen, so whoever reaches Temporal could ask first, at a lower risk or about another
    text, and have that decided.

    Raises:
        Forbidden: what was asked under this id is not this.
    """
    differing = [name for name in _QUESTION if getattr(approval.known, name) != getattr(asked, name)]
    if differing:
        raise Forbidden(f"another question was asked under this approval's id: {', '.join(differing)} differ")


def claimed(name: str) -> str:
    """The name of somebody whom nobody has checked, marked as such, so that it is never taken for a key."""
    return name if name.startswith(_CLAIMED) else f"{_CLAIMED}{name}"


def refuse_edit(approval: Approval, edited: str | None, schema: str | None) -> None:
    """Refuse an edited text that could not go on. `schema` is the text that `schema_hash` of what was asked names.

    Raises:
        Invalid: several have to agree on the text, or it cannot take the place of what is held.
    """
    asked = approval.known
    if edited is None:
        return
    reason = _SEVERAL if asked.rules.quorum > 1 else problem_with_edit(asked.kind, edited, schema)
    if reason:
        raise Invalid(f"edited_content: {reason}", field="edited_content", reason=reason)


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


class TooLate(Conflict):
    """Its time is over, and what that means is about to be recorded."""


def refuse_late(approval: Approval, at: datetime) -> None:
    """Refuse what is said after the approval's end, which may not be recorded yet: all workers may be away.

    It is asked when something is said. What was said in time is carried out however late that is.

    Raises:
        TooLate: it has ended.
    """
    if approval.standing is None and at >= approval.expires_at:
        raise TooLate("this is over: nobody decided in time", expires_at=approval.expires_at.isoformat())


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


def refuse_signal(approval: Approval, signal: Verdict, reason: str, cause: Cause) -> list[Event]:
    """Remember a signal that could not decide."""
    if approval.refusals >= MOST_REFUSALS:
        return []
    return [
        ApprovalSignalRefused(approval_id=approval.known.approval_id, signal=signal, reason=reason, **cause.fields())
    ]

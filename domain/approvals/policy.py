"""Decides approvals, and who may decide them: pure decisions that refuse or return events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from domain.approvals.aggregate import Approval
from domain.approvals.edits import edit_problem
from domain.approvals.events import ApprovalDecided, ApprovalRequested, ApprovalSignalRefused, ApprovalVoted
from domain.approvals.rules import ANYBODY
from domain.errors import Conflict, Forbidden, Invalid
from domain.events import Cause, Event

Identity = Literal["proven", "open", "claimed"]
DecisionVerdict = Literal["approve", "reject"]

MOST_REFUSALS = 50
"""Limit on the refused signals that are recorded; further ones are dropped."""
_CLAIMED = "claimed:"
_SEVERAL = "several have to agree on the same text: reject it instead of editing it"


@dataclass(frozen=True, slots=True)
class Decider:
    """A person or program that acts on an approval.

    `identity`: its key was authenticated (`proven`), authentication is off (`open`), or the name is unverified
    (`claimed`).
    """

    by: str
    identity: Identity


@dataclass(frozen=True, slots=True)
class DecisionChoice:
    """A decision with the hashes of its comment and of the edited text."""

    verdict: DecisionVerdict
    command_id: str
    comment_hash: str | None = None
    content_hash: str | None = None


def request(approval: Approval, asked: ApprovalRequested) -> list[Event]:
    """Request a decision; nothing if it was requested already."""
    return [] if approval.version else [asked]


_QUESTION = ("kind", "risk", "owner", "content_hash", "payload_hash", "workflow_id", "requested_by", "schema_hash")


def refuse_other_request(approval: Approval, asked: ApprovalRequested) -> None:
    """Return if the approval's request equals this one: a decision on another request must not count for it.

    Approval ids can be foreseen, so whoever reaches Temporal could request first, at a lower risk or about another
    text, and have that decided.

    Raises:
        Forbidden: the request under this id differs.
    """
    differing = [name for name in _QUESTION if getattr(approval.request, name) != getattr(asked, name)]
    if differing:
        raise Forbidden(f"another request has this approval's id: {', '.join(differing)} differ")


def mark_claimed(name: str) -> str:
    """Mark an unverified name as claimed, so that it is never taken for a key."""
    return name if name.startswith(_CLAIMED) else f"{_CLAIMED}{name}"


def refuse_edit(approval: Approval, edited: str | None, schema: str | None) -> None:
    """Return if an edited text is usable. `schema` is the text that `schema_hash` of the request names.

    Raises:
        Invalid: several have to agree on the text, or it cannot replace the held text.
    """
    asked = approval.request
    if edited is None:
        return
    reason = _SEVERAL if asked.rules.quorum > 1 else edit_problem(asked.kind, edited, schema)
    if reason:
        raise Invalid(f"edited_content: {reason}", field="edited_content", reason=reason)


def takes_claims(approval: Approval) -> bool:
    """Return True if the approval may be decided without authentication."""
    rules = approval.request.rules
    return approval.deciders == (ANYBODY,) and rules.quorum == 1 and not rules.separation


def admit(approval: Approval, who: Decider) -> None:
    """Return if this person may decide the approval now.

    Raises:
        Forbidden: they are no decider, or not authenticated.
    """
    asked = approval.request
    rules = asked.rules
    anybody = approval.deciders == (ANYBODY,)
    if who.identity != "proven" and rules.separation:
        raise Forbidden("the requester may not decide this, so deciding it needs a key")
    if who.identity != "proven" and rules.quorum > 1:
        raise Forbidden(f"{rules.quorum} have to agree to this, so deciding it needs a key")
    if who.identity == "claimed" and not anybody:
        raise Forbidden("only certain keys may decide this, so deciding it needs a key")
    if rules.separation and who.by == asked.requested_by:
        raise Forbidden("the requester may not decide this")
    if who.identity == "proven" and not anybody and who.by not in approval.deciders:
        raise Forbidden("this key is not among the deciders", deciders=list(approval.deciders))


class TooLate(Conflict):
    """The approval is past its expiry, which is about to be recorded."""


def refuse_expired(approval: Approval, at: datetime) -> None:
    """Return if the approval has not expired; the expiry may not be recorded yet while no worker runs.

    It is checked when a request arrives. A request that came in time is carried out, however late that is.

    Raises:
        TooLate: it has expired.
    """
    if approval.standing is None and at >= approval.expires_at:
        raise TooLate("this has expired: nobody decided in time", expires_at=approval.expires_at.isoformat())


def decide(approval: Approval, who: Decider, choice: DecisionChoice, cause: Cause) -> list[Event]:
    """Decide, or agree as one of several. The first decision counts; a repeat of a command changes nothing.

    Raises:
        NotFound: there is no such approval.
        AlreadyDecided: there is a decision.
        Forbidden: they may not decide it.
        Conflict: they have agreed before.
        Invalid: the text is edited where several have to agree on it.
    """
    asked = approval.request
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


def _agree(approval: Approval, choice: DecisionChoice, cause: Cause) -> list[Event]:
    asked = approval.request
    voted = ApprovalVoted(
        approval_id=asked.approval_id,
        command_id=choice.command_id,
        comment_hash=choice.comment_hash,
        **cause.fields(),
    )
    is_last = len(approval.votes) + 1 >= asked.rules.quorum
    return [voted, _decision(asked, choice, "approved", cause)] if is_last else [voted]


def _decision(
    asked: ApprovalRequested, choice: DecisionChoice, outcome: Literal["approved", "rejected"], cause: Cause
) -> ApprovalDecided:
    return ApprovalDecided(
        approval_id=asked.approval_id,
        command_id=choice.command_id,
        outcome=outcome,
        comment_hash=choice.comment_hash,
        content_hash=choice.content_hash if outcome == "approved" else None,
        **cause.fields(),
    )


def refuse_signal(approval: Approval, signal: DecisionVerdict, reason: str, cause: Cause) -> list[Event]:
    """Record a signal that could not decide."""
    if approval.refusals >= MOST_REFUSALS:
        return []
    return [
        ApprovalSignalRefused(approval_id=approval.request.approval_id, signal=signal, reason=reason, **cause.fields())
    ]

"""Events of an approval. Its stream is `approval:<id>`; its texts belong to the owner of the request."""

from typing import Literal

from pydantic import AwareDatetime

from domain.approvals.rules import ApprovalRules, Risk
from domain.events import Event


class ApprovalRequested(Event):
    """A run waits for a decision. `workflow_id` is the run that waits, `root_id` the one that clients know.

    `rules` are copied from the policy in force and never change. `title` is the platform's own text. `schema_hash`
    names the JSON Schema that an edited text has to follow.
    """

    NAME = "approval.requested"
    approval_id: str
    kind: str
    risk: Risk
    title: str
    agent_id: str
    owner: str
    content_hash: str
    payload_hash: str | None = None
    workflow_id: str
    root_id: str
    requested_by: str
    project_id: str | None = None
    session_id: str | None = None
    turn: int | None = None
    rules: ApprovalRules
    expires_at: AwareDatetime
    remind_at: AwareDatetime | None = None
    escalate_at: AwareDatetime | None = None
    schema_hash: str | None = None


class ApprovalVoted(Event):
    """One of several required deciders has agreed."""

    NAME = "approval.voted"
    approval_id: str
    command_id: str
    comment_hash: str | None = None


class ApprovalDecided(Event):
    """The decision. `content_hash` is the text as the decider edited it, `signature` a compact JWS."""

    NAME = "approval.decided"
    approval_id: str
    command_id: str
    outcome: Literal["approved", "rejected"]
    comment_hash: str | None = None
    content_hash: str | None = None
    signature: str | None = None


class ApprovalDelegated(Event):
    """A decider was replaced by another key: `deciders` may decide from now on."""

    NAME = "approval.delegated"
    approval_id: str
    command_id: str
    to: str
    deciders: tuple[str, ...]
    comment_hash: str | None = None
    remind_at: AwareDatetime | None = None


class ApprovalReminded(Event):
    """A reminder was sent: the approval is still open."""

    NAME = "approval.reminded"
    approval_id: str


class ApprovalEscalated(Event):
    """The approval was escalated: `deciders` may decide from now on, until `expires_at`. `why` names the cause."""

    NAME = "approval.escalated"
    approval_id: str
    command_id: str
    why: Literal["asked", "undecided", "expired"]
    deciders: tuple[str, ...]
    expires_at: AwareDatetime
    remind_at: AwareDatetime | None = None
    comment_hash: str | None = None


class ApprovalExpired(Event):
    """Nobody decided in time: it counts as rejected."""

    NAME = "approval.expired"
    approval_id: str


class ApprovalWithdrawn(Event):
    """Nothing waits for the approval any more."""

    NAME = "approval.withdrawn"
    approval_id: str
    reason_hash: str | None = None


class ApprovalSignalRefused(Event):
    """A signal could not decide; `by` is the claimed name."""

    NAME = "approval.signal_refused"
    approval_id: str
    signal: Literal["approve", "reject"]
    reason: str


EVENTS: tuple[type[Event], ...] = (
    ApprovalRequested,
    ApprovalVoted,
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalReminded,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalWithdrawn,
    ApprovalSignalRefused,
)

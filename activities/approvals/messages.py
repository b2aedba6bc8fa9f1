"""What is asked of people, and what they have decided, by ids only."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.approvals import policy
from domain.approvals.aggregate import Approval


@dataclass(frozen=True)
class ApprovalAsk:
    """What a person is to decide.

    `kind` is `agent_response`, `tool_call`, `swarm_result` or `request`; `risk` is `low`, `medium`, `high` or
    `critical`. `owner` and `content_hash` name the text to look at; `payload_hash` one more, which is JSON.
    `workflow_id` is the run that waits and gets the signal `approval_decided`; `root_id` the root run, by which people
    know it. `schema_hash` names a JSON Schema, a text of the owner, that an edited text has to follow.
    """

    approval_id: str
    kind: str
    risk: str
    title: str
    agent_id: str
    owner: str
    content_hash: str
    workflow_id: str
    root_id: str
    key_id: str
    because: str
    payload_hash: str | None = None
    project_id: str | None = None
    session_id: str | None = None
    turn: int | None = None
    schema_hash: str | None = None


@dataclass(frozen=True)
class Decided:
    """What was decided: `approved`, `rejected`, `expired` or `withdrawn`.

    `content_hash` is the text as a person edited it, `comment_hash` what they said; both belong to the ask's owner.
    """

    approval_id: str
    outcome: str
    by: str
    content_hash: str | None = None
    comment_hash: str | None = None


@dataclass(frozen=True)
class Asked:
    """That it was asked: the decision, if there is one already, and when there will be one at the latest."""

    decided: Decided | None
    ends_at: datetime


@dataclass(frozen=True)
class ApprovalState:
    """How an approval stands in the ledger, where it has `version` events. `decided` is None while it is open.

    `takes_signals`: nobody has to prove who they are to decide it.
    """

    version: int
    status: str
    deciders: list[str]
    agreed: int
    quorum: int
    expires_at: datetime
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    decided: Decided | None = None
    decided_at: datetime | None = None
    takes_signals: bool = False


@dataclass(frozen=True)
class ApprovalStart:
    """What the run of an approval begins with. With `notices` the receiver of webhooks is told of what happens.

    `awaits_request`: the run begins before the ledger has the approval, so that whoever reads it finds its run.
    """

    ask: ApprovalAsk
    state: ApprovalState
    notices: bool = False
    awaits_request: bool = False


@dataclass(frozen=True)
class Order:
    """Something to do with an approval, as whoever checks keys has written it down: an `Instruction`, by its hash."""

    command_id: str
    instruction_hash: str


@dataclass(frozen=True)
class Ordered:
    """An order, and where it came. `verbs` are those that the place it came to stands for.

    `owner` and `at`, here and below, are not believed: whoever reaches Temporal can start a run that says anything.
    The owner is the aggregate's, the time is the server's. They stay for what was recorded with them.
    """

    approval_id: str
    owner: str
    order: Order
    verbs: list[str]
    at: datetime


@dataclass(frozen=True)
class Claimed:
    """A decision by a signal: `by` is who it claims to be. `problem` says why it cannot be read, if it cannot.

    Its words stand in the signal, in the run's history, wherever it came from.
    """

    approval_id: str
    owner: str
    command_id: str
    verdict: str
    by: str
    at: datetime
    comment: str | None = None
    edited_content: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Passed:
    """Time has come for `remind`, `escalate` or `expire`, for the approval as it stood at version `seen`."""

    approval_id: str
    what: str
    seen: int
    at: datetime


@dataclass(frozen=True)
class Withdrawn:
    """Nobody waits any more."""

    approval_id: str
    owner: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class Refusal:
    """Why something was not done: the refusal's name, its sentence, and its details as text."""

    name: str
    message: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Stands:
    """How an approval stands after a command, and why the command was refused, if it was."""

    state: ApprovalState
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Notice:
    """What the receiver of webhooks is told: `type` is `approval.<what>`, `data` are ids and states.

    It is about the first `version` events of the approval; 0 where an older release has not said so.
    """

    notice_id: str
    type: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 0


def decided_of(approval: Approval) -> Decided | None:
    """The decision that stands."""
    standing = approval.standing
    if standing is None:
        return None
    return Decided(
        approval_id=approval.known.approval_id,
        outcome=standing.status,
        by=standing.by,
        content_hash=standing.content_hash,
        comment_hash=standing.comment_hash,
    )


def state_of(approval: Approval) -> ApprovalState:
    """An approval as its run knows it."""
    return ApprovalState(
        version=approval.version,
        status=approval.status,
        deciders=list(approval.deciders),
        agreed=len(approval.votes),
        quorum=approval.known.rules.quorum,
        expires_at=approval.expires_at,
        remind_at=approval.remind_at,
        escalate_at=approval.escalate_at,
        decided=decided_of(approval),
        decided_at=approval.standing.at if approval.standing else None,
        takes_signals=policy.takes_claims(approval),
    )


def start_of(approval: Approval, *, notices: bool, awaits_request: bool = False) -> ApprovalStart:
    """What a run of this approval begins with, as it stands now."""
    asked = approval.known
    ask = ApprovalAsk(
        approval_id=asked.approval_id,
        kind=asked.kind,
        risk=asked.risk,
        title=asked.title,
        agent_id=asked.agent_id,
        owner=asked.owner,
        content_hash=asked.content_hash,
        workflow_id=asked.workflow_id,
        root_id=asked.root_id,
        key_id=asked.requested_by,
        because=asked.because,
        payload_hash=asked.payload_hash,
        project_id=asked.project_id,
        session_id=asked.session_id,
        turn=asked.turn,
        schema_hash=asked.schema_hash,
    )
    return ApprovalStart(ask, state_of(approval), notices, awaits_request)

"""Messages of the approval activities, by ids only."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.approvals import policy
from domain.approvals.aggregate import Approval


@dataclass(frozen=True)
class ApprovalRequest:
    """A request for a person's decision.

    `kind` is `agent_response`, `tool_call`, `swarm_result`, `request` or `budget`; `risk` is `low`, `medium`, `high` or
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
class ApprovalDecision:
    """A decision: `approved`, `rejected`, `expired` or `withdrawn`.

    `content_hash` is the text as a person edited it, `comment_hash` their comment; both belong to the request's owner.
    """

    approval_id: str
    outcome: str
    by: str
    content_hash: str | None = None
    comment_hash: str | None = None


@dataclass(frozen=True)
class RequestedApproval:
    """An approval that was requested: its decision, if there is one already, and the latest time there will be one."""

    decided: ApprovalDecision | None
    ends_at: datetime


@dataclass(frozen=True)
class ApprovalState:
    """The state of an approval after `version` events of its stream. `decided` is None while it is open.

    `takes_signals`: deciding it needs no authentication.
    """

    version: int
    status: str
    deciders: list[str]
    agreed: int
    quorum: int
    expires_at: datetime
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    decided: ApprovalDecision | None = None
    decided_at: datetime | None = None
    takes_signals: bool = False


@dataclass(frozen=True)
class ApprovalStart:
    """The input of an approval's workflow. With `notices` its events are sent to the webhook receiver.

    `awaits_request`: the workflow starts before the ledger has the approval, so that every recorded approval has one.
    """

    ask: ApprovalRequest
    state: ApprovalState
    notices: bool = False
    awaits_request: bool = False


@dataclass(frozen=True)
class InstructionRef:
    """A reference to an `Instruction` that an authenticated caller recorded, by its hash."""

    command_id: str
    instruction_hash: str


@dataclass(frozen=True)
class RoutedInstruction:
    """An instruction and the handler it arrived by; `verbs` are those that this handler accepts.

    `owner` and `at`, here and below, are not trusted: whoever reaches Temporal can start a workflow with any input. The
    owner is read from the aggregate, the time from the server. The fields stay for recorded histories.
    """

    approval_id: str
    owner: str
    order: InstructionRef
    verbs: list[str]
    at: datetime


@dataclass(frozen=True)
class SignalDecision:
    """A decision by a signal: `by` is the claimed, unverified name. `problem` says why it cannot be read, if so.

    Its comment and edit stand in the signal, in the workflow's history, wherever it came from.
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
class DeadlineAction:
    """A due `remind`, `escalate` or `expire`, for the approval as it was at version `seen`."""

    approval_id: str
    what: str
    seen: int
    at: datetime


@dataclass(frozen=True)
class ApprovalWithdrawal:
    """The withdrawal of an approval that nothing waits for any more."""

    approval_id: str
    owner: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class ApprovalRefusal:
    """The reason a command was refused: the error's name, its message, and its details as text."""

    name: str
    message: str
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ApprovalCommandResult:
    """The state of an approval after a command, and the refusal if the command was refused."""

    state: ApprovalState
    refusal: ApprovalRefusal | None = None


@dataclass(frozen=True)
class WebhookNotification:
    """A webhook notification: `type` is `approval.<what>`, `data` are ids and states.

    It is about the first `version` events of the approval; 0 in notifications of older releases, which did not say.
    """

    notice_id: str
    type: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    version: int = 0


def decision_of(approval: Approval) -> ApprovalDecision | None:
    """Return the recorded decision; None while the approval is open."""
    standing = approval.standing
    if standing is None:
        return None
    return ApprovalDecision(
        approval_id=approval.request.approval_id,
        outcome=standing.status,
        by=standing.by,
        content_hash=standing.content_hash,
        comment_hash=standing.comment_hash,
    )


def state_of(approval: Approval) -> ApprovalState:
    """Return an approval's state as its workflow sees it."""
    return ApprovalState(
        version=approval.version,
        status=approval.status,
        deciders=list(approval.deciders),
        agreed=len(approval.votes),
        quorum=approval.request.rules.quorum,
        expires_at=approval.expires_at,
        remind_at=approval.remind_at,
        escalate_at=approval.escalate_at,
        decided=decision_of(approval),
        decided_at=approval.standing.at if approval.standing else None,
        takes_signals=policy.takes_claims(approval),
    )


def start_of(approval: Approval, *, notices: bool, awaits_request: bool = False) -> ApprovalStart:
    """Return the input of this approval's workflow, from its current state."""
    asked = approval.request
    ask = ApprovalRequest(
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

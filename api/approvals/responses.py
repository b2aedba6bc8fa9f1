"""The shapes in which approvals are shown."""

import json
from typing import Any, Literal

from api.http.schemas import ErrorBody, Listing, Pagination, Timestamp, View
from domain.approvals.ports import ReadApproval, ReadStep

_OF_A_NODE = {"title", "workflow", "node"}
_LONGEST_TITLE = 200

Status = Literal["pending", "approved", "rejected", "expired", "escalated", "withdrawn"]
Risk = Literal["low", "medium", "high", "critical"]


class ApprovalContext(View):
    """Where it was asked."""

    session_id: str | None
    turn: int | None
    project_id: str | None


class Approval(View):
    """What a person is to decide, or has decided.

    `escalated` is still open. `deciders` are the keys that may decide now, or `*` for whoever may approve; `agreed` are
    those that have, of `quorum` that must. `content` and `comment` are null where nothing was said or it was erased.
    """

    id: str
    type: str
    agent_id: str
    content: str | None
    risk_level: Risk
    created_at: Timestamp
    title: str
    status: Status
    requested_by: str
    workflow_id: str
    expires_at: Timestamp
    payload: Any
    context: ApprovalContext
    deciders: list[str]
    quorum: int
    agreed: list[str]
    separation: bool
    on_expiry: Literal["reject", "escalate"]
    reminders: int
    escalated_at: Timestamp | None
    decided_at: Timestamp | None
    decided_by: str | None
    comment: str | None
    edited_content: str | None
    version: int


class ApprovalStep(View):
    """Something that happened to it. `to` may decide from then on; `reason` says what caused it, if time or rules did.

    `status` is how it stood after that.
    """

    step: int
    event: str
    status: Status
    by: str
    at: Timestamp
    to: list[str] | None
    reason: str | None
    comment: str | None
    edited_content: str | None


class ApprovalWithHistory(Approval):
    """An approval with all that happened to it, in order."""

    history: list[ApprovalStep]


class PendingApprovals(Listing):
    """What waits for a decision, the oldest first."""

    pending_approvals: list[Approval]


class ApprovalList(View):
    """Approvals, the newest first."""

    data: list[Approval]
    pagination: Pagination


class BatchResult(View):
    """What became of one of them: the HTTP status that it would have had alone, and the approval or the error."""

    id: str
    status: int
    approval: Approval | None = None
    error: ErrorBody | None = None


class BatchResults(View):
    """What became of each, in the order of the request."""

    results: list[BatchResult]


def approval_of(read: ReadApproval) -> Approval:
    """The approval as it is shown."""
    row, payload = read.row, _json(read.payload)
    return Approval(
        id=row.id,
        type=row.kind,
        agent_id=row.agent_id,
        content=read.content,
        risk_level=row.risk,
        created_at=row.created_at,
        title=_title(row.title, payload),
        status=row.status,
        requested_by=row.requested_by,
        workflow_id=row.workflow_id,
        expires_at=row.expires_at,
        payload=payload,
        context=ApprovalContext(session_id=row.session_id, turn=row.turn, project_id=row.project_id),
        deciders=row.deciders,
        quorum=row.quorum,
        agreed=row.agreed,
        separation=row.separation,
        on_expiry=row.on_expiry,
        reminders=row.reminders,
        escalated_at=row.escalated_at,
        decided_at=row.decided_at,
        decided_by=row.decided_by,
        comment=read.comment,
        edited_content=read.edited,
        version=row.version,
    )


def with_history(read: ReadApproval, steps: list[ReadStep]) -> ApprovalWithHistory:
    """The approval as it is shown, with its history."""
    shown = approval_of(read)
    fields = {name: getattr(shown, name) for name in Approval.model_fields}
    return ApprovalWithHistory(**fields, history=[_step(step) for step in steps])


def _step(step: ReadStep) -> ApprovalStep:
    row = step.row
    return ApprovalStep(
        step=row.step,
        event=row.event,
        status=row.status,
        by=row.by,
        at=row.at,
        to=row.passed_to,
        reason=row.reason,
        comment=step.comment,
        edited_content=step.edited,
    )


def _title(recorded: str, payload: Any) -> str:
    """A node's title as it was filled. What is recorded has no words of people, which can be erased."""
    if isinstance(payload, dict) and payload.keys() == _OF_A_NODE and isinstance(payload["title"], str):
        return payload["title"][:_LONGEST_TITLE] or recorded
    return recorded


def _json(text: str | None) -> Any:
    """A payload as JSON; as text where it is none, such as the arguments that a model got wrong."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text

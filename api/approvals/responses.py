"""Response models of approvals."""

import json
from typing import Any, Literal

from api.http.schemas import ErrorBody, Listing, Pagination, SessionName, Timestamp, View
from domain.approvals.ports import ApprovalStepView, ApprovalView

_OF_A_NODE = {"title", "workflow", "node"}
_MAX_TITLE = 200

Status = Literal["pending", "approved", "rejected", "expired", "escalated", "withdrawn"]
Risk = Literal["low", "medium", "high", "critical"]


class ApprovalContext(View):
    """The session, turn and project of the request."""

    session_id: SessionName | None
    turn: int | None
    project_id: str | None


class ApprovalDetails(View):
    """An approval: the content to decide about, and the decision.

    `escalated` ones are still open. `deciders` are the keys that may decide now, or `*` for all that may approve;
    `agreed` are those that approved, of `quorum` that must. `content` and `comment` are null if absent or erased.
    `signature` is the compact JWS of the decision.
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
    signature: str | None


class ApprovalStep(View):
    """An event of an approval. `to` are the new deciders; `reason` is set if time or a rule caused it.

    `status` is the status after the event.
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


class ApprovalWithHistory(ApprovalDetails):
    """An approval with all its events, in order."""

    history: list[ApprovalStep]


class PendingApprovalList(Listing):
    """Open approvals, the oldest first."""

    pending_approvals: list[ApprovalDetails]


class ApprovalList(View):
    """Approvals, the newest first."""

    data: list[ApprovalDetails]
    pagination: Pagination


class BatchResult(View):
    """The result of one decision: the HTTP status it would have had alone, and the approval or the error."""

    id: str
    status: int
    approval: ApprovalDetails | None = None
    error: ErrorBody | None = None


class BatchResultList(View):
    """The result of each decision, in the order of the request."""

    results: list[BatchResult]


def to_approval(read: ApprovalView) -> ApprovalDetails:
    """Return the response for an approval."""
    row, payload = read.row, _parse_json(read.payload)
    return ApprovalDetails(
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
        signature=row.signature,
    )


def to_approval_with_history(read: ApprovalView, steps: list[ApprovalStepView]) -> ApprovalWithHistory:
    """Return the response for an approval with its history."""
    shown = to_approval(read)
    fields = {name: getattr(shown, name) for name in ApprovalDetails.model_fields}
    return ApprovalWithHistory(**fields, history=[_step(step) for step in steps])


def _step(step: ApprovalStepView) -> ApprovalStep:
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
    """Return a node's title with its values. The recorded one has none, as people's texts can be erased."""
    if isinstance(payload, dict) and payload.keys() == _OF_A_NODE and isinstance(payload["title"], str):
        return payload["title"][:_MAX_TITLE] or recorded
    return recorded


def _parse_json(text: str | None) -> Any:
    """Parse a payload; text that is not JSON, such as malformed arguments of a model, is returned unchanged."""
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text

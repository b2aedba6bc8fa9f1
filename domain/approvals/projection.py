"""The read model of approvals: their current states, and all their steps."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from domain.approvals.aggregate import Status
from domain.approvals.events import (
    EVENTS,
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
from domain.events import Event, RecordedEvent
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    """An approval. `workflow_id` is the root run, `waiter_id` the run that waits.

    `comment_hash` and `edited_hash` are of the decision; `deciders` may decide now, `agreed` have agreed so far.
    """

    TABLE: ClassVar[str] = "approvals"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    tenant_id: str
    kind: str
    risk: str
    title: str
    status: Status
    agent_id: str
    owner: str
    content_hash: str
    payload_hash: str | None
    workflow_id: str
    waiter_id: str
    requested_by: str
    project_id: str | None
    session_id: str | None
    turn: int | None
    deciders: list[str]
    agreed: list[str]
    quorum: int
    separation: bool
    on_expiry: Literal["reject", "escalate"]
    reminders: int
    created_at: datetime
    expires_at: datetime
    escalated_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    comment_hash: str | None
    edited_hash: str | None
    version: int
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalStepRow:
    """One step. `event` is its name without `approval.`; `status` is the approval's after it.

    `passed_to` are the deciders after a delegation or escalation; `reason` is why a signal was refused, or what caused
    an escalation (`asked`, `undecided`, `expired`).
    """

    TABLE: ClassVar[str] = "approval_steps"
    KEY: ClassVar[tuple[str, ...]] = ("approval_id", "step")

    approval_id: str
    step: int
    tenant_id: str
    event: str
    status: Status
    by: str
    because: str
    at: datetime
    passed_to: list[str] | None
    reason: str | None
    comment_hash: str | None
    content_hash: str | None


class ApprovalsProjection:
    """`domain.projection.Projection` of the approvals."""

    name = "approvals"
    kinds: tuple[type[Row], ...] = (ApprovalRow, ApprovalStepRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, EVENTS):
            yield ApprovalRow, (recorded.stream.removeprefix("approval:"),)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        if not isinstance(recorded.event, EVENTS):
            return
        row = fold_event(rows.get(ApprovalRow, recorded.stream.removeprefix("approval:")), recorded.event)
        rows.put(row)
        rows.put(_step(row, recorded.event))


def fold_event(row: ApprovalRow | None, event: Event) -> ApprovalRow:
    """Fold one more event into the row.

    Raises:
        LookupError: the event is about an approval that was never requested.
    """
    if isinstance(event, ApprovalRequested):
        return _new_row(event)
    if row is None:
        raise LookupError("this approval was never requested")
    return _apply(replace(row, version=row.version + 1), event)


def _apply(row: ApprovalRow, event: Event) -> ApprovalRow:
    match event:
        case ApprovalVoted(by=by):
            row = replace(row, agreed=[*row.agreed, by])
        case ApprovalDelegated(deciders=deciders):
            row = replace(row, deciders=list(deciders))
        case ApprovalReminded():
            row = replace(row, reminders=row.reminders + 1)
        case ApprovalEscalated(deciders=deciders, expires_at=ends, at=at):
            row = replace(row, status="escalated", deciders=list(deciders), expires_at=ends, escalated_at=at)
        case ApprovalDecided(outcome=outcome, comment_hash=comment, content_hash=edited, signature=signature):
            row = replace(_with_end(row, event, outcome), comment_hash=comment, edited_hash=edited, signature=signature)
        case ApprovalExpired():
            row = _with_end(row, event, "expired")
        case ApprovalWithdrawn(reason_hash=reason):
            row = replace(_with_end(row, event, "withdrawn"), comment_hash=reason)
    return row


def _new_row(event: ApprovalRequested) -> ApprovalRow:
    return ApprovalRow(
        id=event.approval_id,
        tenant_id=event.tenant_id,
        kind=event.kind,
        risk=event.risk,
        title=event.title,
        status="pending",
        agent_id=event.agent_id,
        owner=event.owner,
        content_hash=event.content_hash,
        payload_hash=event.payload_hash,
        workflow_id=event.root_id,
        waiter_id=event.workflow_id,
        requested_by=event.requested_by,
        project_id=event.project_id,
        session_id=event.session_id,
        turn=event.turn,
        deciders=list(event.rules.deciders),
        agreed=[],
        quorum=event.rules.quorum,
        separation=event.rules.separation,
        on_expiry=event.rules.on_expiry,
        reminders=0,
        created_at=event.at,
        expires_at=event.expires_at,
        escalated_at=None,
        decided_at=None,
        decided_by=None,
        comment_hash=None,
        edited_hash=None,
        version=1,
    )


def _with_end(row: ApprovalRow, event: Event, status: Status) -> ApprovalRow:
    return replace(row, status=status, decided_at=event.at, decided_by=event.by)


def _step(row: ApprovalRow, event: Event) -> ApprovalStepRow:
    passed_to: list[str] | None = None
    reason: str | None = None
    comment_hash: str | None = None
    content_hash: str | None = None
    match event:
        case ApprovalDelegated():
            passed_to, comment_hash = [event.to], event.comment_hash
        case ApprovalEscalated():
            passed_to, reason, comment_hash = list(event.deciders), event.why, event.comment_hash
        case ApprovalSignalRefused():
            reason = event.reason
        case ApprovalVoted():
            comment_hash = event.comment_hash
        case ApprovalDecided():
            comment_hash, content_hash = event.comment_hash, event.content_hash
        case ApprovalWithdrawn():
            comment_hash = event.reason_hash
    return ApprovalStepRow(
        approval_id=row.id,
        step=row.version,
        tenant_id=row.tenant_id,
        event=event.NAME.removeprefix("approval."),
        status=row.status,
        by=event.by,
        because=event.because,
        at=event.at,
        passed_to=passed_to,
        reason=reason,
        comment_hash=comment_hash,
        content_hash=content_hash,
    )

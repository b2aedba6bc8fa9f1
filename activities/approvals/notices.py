"""Webhook notifications about approvals: ids and states, as the ledger has them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from activities.approvals.messages import ApprovalRequest, ApprovalState, WebhookNotification, start_of
from domain.approvals import aggregate
from domain.approvals.events import (
    ApprovalDecided,
    ApprovalDelegated,
    ApprovalEscalated,
    ApprovalExpired,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalVoted,
    ApprovalWithdrawn,
)
from domain.events import Event
from domain.ids import derived_id
from domain.tenant_ids import tenant_of

_TYPES: dict[type[Event], str] = {
    ApprovalRequested: "requested",
    ApprovalReminded: "reminded",
    ApprovalDelegated: "delegated",
    ApprovalEscalated: "escalated",
    ApprovalVoted: "voted",
    ApprovalDecided: "decided",
    ApprovalExpired: "decided",
    ApprovalWithdrawn: "decided",
}


def build_notification(ask: ApprovalRequest, state: ApprovalState, what: str, at: datetime) -> WebhookNotification:
    """Build the notification that the approval's workflow sends. A repeat of the same event has the same id."""
    notice_id = derived_id("webhook", ask.approval_id, what, state.version)
    return WebhookNotification(notice_id, f"approval.{what}", at, _data(ask, state), state.version)


def verified_notification(notice: WebhookNotification, events: Sequence[Event]) -> WebhookNotification | None:
    """Rebuild a notification from the ledger's events alone; None if no event matches it.

    Notifications are signed with the platform's key, and whoever reaches Temporal can request one, so none of the
    fields is trusted. `events` are all of the approval's. A notification of an older release does not say how many
    events it is about; it is sent with the current state.
    """
    happened = events[: notice.version] if notice.version else events
    what = notice.type.removeprefix("approval.")
    if len(happened) < notice.version or what not in {_TYPES.get(type(event)) for event in happened}:
        return None
    start = start_of(aggregate.load(happened), notices=True)
    notice_id = (
        build_notification(start.ask, start.state, what, notice.at).notice_id if notice.version else notice.notice_id
    )
    return WebhookNotification(notice_id, notice.type, happened[-1].at, _data(start.ask, start.state), notice.version)


def _data(ask: ApprovalRequest, state: ApprovalState) -> dict[str, Any]:
    return {
        "approval_id": ask.approval_id,
        "tenant_id": tenant_of(ask.owner),
        "status": state.status,
        "type": ask.kind,
        "risk_level": ask.risk,
        "agent_id": ask.agent_id,
        "workflow_id": ask.root_id,
        "requested_by": ask.key_id,
        "deciders": state.deciders,
        "agreed": state.agreed,
        "quorum": state.quorum,
        "expires_at": _utc(state.expires_at),
        "decided_by": state.decided.by if state.decided else None,
        "decided_at": _utc(state.decided_at) if state.decided_at else None,
    }


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")

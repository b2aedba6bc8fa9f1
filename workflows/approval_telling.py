"""What an approval's run tells of itself: to the receiver of webhooks, and to whoever looks at it in the Web UI."""

from datetime import datetime
from typing import Any

from activities.approvals import ApprovalAsk, ApprovalState, Notice
from domain.approvals.rules import ANYBODY
from domain.ids import derived

_MOST_SUMMARY = 160


def short(summary: str) -> str:
    """A summary that the server takes: it counts bytes."""
    return summary.encode()[:_MOST_SUMMARY].decode(errors="ignore")


def happened(before: ApprovalState, after: ApprovalState) -> str | None:
    """What is worth telling between two states: the last word of a notice's type."""
    if after.decided is not None:
        return "decided" if before.decided is None else None
    if after.status != before.status:
        return "escalated"
    if after.agreed != before.agreed:
        return "voted"
    if after.deciders != before.deciders:
        return "delegated"
    return "reminded" if before.remind_at is not None and after.remind_at is None else None


def notice_of(ask: ApprovalAsk, state: ApprovalState, what: str, at: datetime) -> Notice:
    """Ids and states, no contents. The same thing told again has the same id."""
    data: dict[str, Any] = {
        "approval_id": ask.approval_id,
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
    return Notice(derived("webhook", ask.approval_id, what, state.version), f"approval.{what}", at, data)


def details(ask: ApprovalAsk, state: ApprovalState) -> str:
    """The run's details, in Markdown."""
    lines = [f"**{ask.title}** ({ask.risk} risk, {ask.kind})", ""]
    if state.decided is not None:
        lines.append(f"**{state.decided.outcome}** by `{state.decided.by}`")
    else:
        lines += [f"**{state.status}** until {_utc(state.expires_at)}", "", f"- may decide: {_deciders(state)}"]
        lines += [f"- agreed: {state.agreed} of {state.quorum}"] if state.quorum > 1 else []
        lines += ["- decide here: send the signal `approve` or `reject`"] if state.takes_signals else []
    return "\n".join([*lines, "", f"agent `{ask.agent_id}` · run `{ask.root_id}` · asked by `{ask.key_id}`"])


def _deciders(state: ApprovalState) -> str:
    if state.deciders == [ANYBODY]:
        return "whoever may approve"
    return ", ".join(f"`{key}`" for key in state.deciders)


def _utc(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")

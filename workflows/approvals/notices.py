"""Notices about an approval, and the details that the Temporal Web UI shows of its workflow."""

from datetime import datetime

from activities.approvals.messages import ApprovalRequest, ApprovalState
from domain.approvals.rules import ANYBODY


def classify_transition(before: ApprovalState, after: ApprovalState) -> str | None:
    """Return the last part of the type of the notice for a change of state, or None if no notice is due."""
    if after.decided is not None:
        return "decided" if before.decided is None else None
    if after.status != before.status:
        return "escalated"
    if after.agreed != before.agreed:
        return "voted"
    if after.deciders != before.deciders:
        return "delegated"
    return "reminded" if before.remind_at is not None and after.remind_at is None else None


def render_details(ask: ApprovalRequest, state: ApprovalState) -> str:
    """Render the workflow's details in Markdown."""
    lines = [f"**{ask.title}** ({ask.risk} risk, {ask.kind})", ""]
    if state.decided is not None:
        lines.append(f"**{state.decided.outcome}** by `{state.decided.by}`")
    else:
        lines += [
            f"**{state.status}** until {_format_utc(state.expires_at)}",
            "",
            f"- may decide: {_format_deciders(state)}",
        ]
        lines += [f"- agreed: {state.agreed} of {state.quorum}"] if state.quorum > 1 else []
        lines += ["- decide here: send the signal `approve` or `reject`"] if state.takes_signals else []
    return "\n".join([*lines, "", f"agent `{ask.agent_id}` · run `{ask.root_id}` · asked by `{ask.key_id}`"])


def _format_deciders(state: ApprovalState) -> str:
    if state.deciders == [ANYBODY]:
        return "whoever may approve"
    return ", ".join(f"`{key}`" for key in state.deciders)


def _format_utc(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")

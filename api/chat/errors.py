"""Refusals for turns that failed."""

from collections.abc import Mapping

from api.chat.service import ChatOutcome
from domain.errors import Conflict, DomainError, OverBudget, TooLarge, Unavailable, UpstreamFailed
from domain.tenant_ids import unqualified
from workflows.chat.messages import ChatResult

_FAILURES: Mapping[str, type[DomainError]] = {
    "UPSTREAM_ERROR": UpstreamFailed,
    "UNUSABLE_REPLY": UpstreamFailed,
    "PAYLOAD_TOO_LARGE": TooLarge,
    "BUDGET_EXCEEDED": OverBudget,
    "SERVICE_UNAVAILABLE": Unavailable,
    "CANCELLED": Conflict,
    "RUN_LOST": Unavailable,
    "CONFLICT": Conflict,
}


def failure_of_turn(outcome: ChatOutcome, said: ChatResult) -> Exception:
    """Return the error to raise for a failed turn; an unknown code is an internal error."""
    ids = {"session_id": unqualified(outcome.session_id), "turn": said.turn, "workflow_id": outcome.workflow_id}
    details = {**said.details, **ids}
    failure = _FAILURES.get(said.code or "")
    if failure is None:
        return RuntimeError(f"turn {said.turn} of {outcome.workflow_id} failed: {said.error}")
    return failure(said.error or "the turn failed", status="failed", **details)

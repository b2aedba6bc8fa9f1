"""Response models of swarms."""

from collections.abc import Mapping
from datetime import datetime

from api.http.schemas import Money, Pagination, Timestamp, View
from domain.errors import NotFound
from domain.message_parts import compose
from domain.swarm.ports import MemberUsage, SwarmView
from domain.swarm.task import Mode
from domain.swarm.views import SeatRow, SeatStatus, Status, SwarmRow, contribution

_MAX_CONTRIBUTION = 1_000_000
"""Maximum characters of a contribution in a response."""


class SwarmError(View):
    """The reason for which it did not complete."""

    code: str
    message: str


class SwarmAgent(View):
    """An agent in a swarm. `stage` is its current or last one; `contribution` its newest work on the task."""

    agent_id: str
    version: int
    status: SeatStatus
    stage: str | None
    turns: int
    tokens: int
    cost: Money
    contribution: str | None
    error: SwarmError | None


class Timings(View):
    """Times of the request, start and end, and the deadline; `duration_s` from the request to the end, or until now."""

    requested_at: Timestamp
    started_at: Timestamp | None
    ended_at: Timestamp | None
    deadline: Timestamp | None
    duration_s: float


class SwarmSummary(View):
    """A swarm without its texts. `turns` have ended, of at most `planned_turns`."""

    task_id: str
    workflow_id: str
    status: Status
    progress: float
    mode: Mode
    stage: str | None
    members: list[str]
    coordinator_id: str
    turns: int
    planned_turns: int
    tokens: int
    cost: Money
    timings: Timings
    approval_id: str | None
    partial: bool
    error: SwarmError | None
    project_id: str | None


class SwarmStatus(SwarmSummary):
    """A swarm. `agents` are its members; `coordinator` has the turns in which it leads them.

    `signature` is the compact JWS of its end and result.
    """

    agents: list[SwarmAgent]
    coordinator: SwarmAgent
    result: str | None
    rounds: int
    budget_usd: Money | None
    require_approval: bool
    signature: str | None


class SwarmList(View):
    """Swarms, newest first."""

    data: list[SwarmSummary]
    pagination: Pagination


def hashes_of(seen: SwarmView) -> set[str]:
    """Return the hashes of the texts in the response."""
    return {text for text in (seen.row.result_hash, *(seat.reply_hash for seat in seen.seats)) if text}


def summary(seen: SwarmView, now: datetime) -> SwarmSummary:
    return SwarmSummary.model_validate(_facts(seen, now))


def status(seen: SwarmView, texts: Mapping[str, str], now: datetime) -> SwarmStatus:
    """Return the response for a swarm with its texts; erased ones are null."""
    row = seen.row
    shown = [_to_agent(row, seat, seen.spent.get(seat.seat, MemberUsage()), texts) for seat in seen.seats]
    own = {
        "agents": [agent for agent, seat in zip(shown, seen.seats, strict=True) if not seat.coordinating],
        "coordinator": next(agent for agent, seat in zip(shown, seen.seats, strict=True) if seat.coordinating),
        "result": texts.get(row.result_hash) if row.result_hash else None,
        "rounds": row.rounds,
        "budget_usd": row.budget_usd,
        "require_approval": row.require_approval,
        "signature": row.signature,
    }
    return SwarmStatus.model_validate({**_facts(seen, now), **own})


def _facts(seen: SwarmView, now: datetime) -> dict[str, object]:
    row = seen.row
    return {
        "task_id": row.task_id,
        "workflow_id": row.task_id,
        "status": row.status,
        "progress": progress(row),
        "mode": row.mode,
        "stage": row.stage,
        "members": row.members,
        "coordinator_id": row.coordinator,
        "turns": row.turns,
        "planned_turns": row.planned,
        "tokens": seen.total.tokens,
        "cost": seen.total.cost,
        "timings": _timings(row, now),
        "approval_id": row.approval_id,
        "partial": row.partial,
        "error": _error(row.code or row.status.upper(), row.reason),
        "project_id": row.project_id,
    }


def progress(row: SwarmRow) -> float:
    """Return the progress from 0 to 1. It is 1 only if the swarm has completed."""
    if row.status == "completed":
        return 1.0
    return round(min(row.turns / row.planned, 0.99), 2)


def _timings(row: SwarmRow, now: datetime) -> Timings:
    return Timings(
        requested_at=row.requested_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        deadline=row.deadline,
        duration_s=round(((row.ended_at or now) - row.requested_at).total_seconds(), 3),
    )


def _to_agent(row: SwarmRow, seat: SeatRow, spent: MemberUsage, texts: Mapping[str, str]) -> SwarmAgent:
    return SwarmAgent(
        agent_id=seat.agent_id,
        version=seat.agent_version,
        status=seat.status,
        stage=seat.stage,
        turns=seat.turns,
        tokens=spent.tokens,
        cost=spent.cost,
        contribution=_read_contribution(row, seat, texts),
        error=_error(seat.code, seat.error),
    )


def _read_contribution(row: SwarmRow, seat: SeatRow, texts: Mapping[str, str]) -> str | None:
    part = contribution(row, seat)
    try:
        return compose([part], texts, most=_MAX_CONTRIBUTION) if part else None
    except NotFound:
        return None


def _error(code: str | None, message: str | None) -> SwarmError | None:
    return SwarmError(code=code, message=message) if code and message else None

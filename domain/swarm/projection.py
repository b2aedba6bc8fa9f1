"""The read model of swarms and their seats."""

from collections.abc import Iterable
from dataclasses import replace

from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.swarm.events import SwarmEnded, SwarmHeld, SwarmRequested
from domain.swarm.members import MemberTurnEvent, member_turn_event, seat
from domain.swarm.plans import PLANS
from domain.swarm.spoken import CONTRIBUTING
from domain.swarm.task import Mode, SwarmTask
from domain.swarm.views import SeatRow, SeatStatus, Status, SwarmRow


class SwarmProjection:
    """`domain.projection.Projection` of swarms: their own events, and the turns on their seats."""

    name = "swarm"
    kinds: tuple[type[Row], ...] = (SwarmRow, SeatRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, SwarmHeld | SwarmEnded):
            yield SwarmRow, (event.task_id,)
        elif turn := member_turn_event(event):
            yield SwarmRow, (turn.task_id,)
            yield SeatRow, (turn.task_id, turn.seat)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case SwarmRequested() as event:
                rows.put(swarm_of(event))
                for seated in seats_of(event):
                    rows.put(seated)
            case SwarmHeld() as event:
                swarm = _swarm(rows, event.task_id)
                held = replace(swarm, status="awaiting_approval", held=swarm.held + 1, approval_id=event.approval_id)
                rows.put(held)
            case SwarmEnded() as event:
                _end(_swarm(rows, event.task_id), event, rows)
            case event:
                if turn := member_turn_event(event):
                    _turn(turn, rows)


def _swarm(rows: Rows, task_id: str) -> SwarmRow:
    swarm = rows.get(SwarmRow, task_id)
    if swarm is None:
        raise LookupError(f"swarm {task_id} was never requested")
    return swarm


def swarm_of(event: SwarmRequested) -> SwarmRow:
    """Return the row of a swarm that was just requested."""
    members = tuple(agent.agent_id for agent in event.members)
    task = SwarmTask(event.mode, members, event.coordinator.agent_id, event.task_hash, rounds=event.rounds)
    return SwarmRow(
        task_id=event.task_id,
        tenant_id=event.tenant_id,
        mode=event.mode,
        status="pending",
        stage=None,
        members=list(members),
        coordinator=event.coordinator.agent_id,
        key_id=event.key_id,
        project_id=event.project_id,
        task_hash=event.task_hash,
        context_hash=event.context_hash,
        rounds=event.rounds,
        deadline=event.deadline,
        budget_usd=event.budget_usd,
        require_approval=event.require_approval,
        planned=PLANS[event.mode].planned_turns(task),
        turns=0,
        held=0,
        approval_id=None,
        result_hash=None,
        partial=False,
        code=None,
        reason=None,
        requested_at=event.at,
        started_at=None,
        ended_at=None,
    )


def seats_of(event: SwarmRequested) -> Iterable[SeatRow]:
    """Yield its seats: the members in order, the coordinator last."""
    everybody = [(agent, False) for agent in event.members] + [(event.coordinator, True)]
    for place, (agent, coordinating) in enumerate(everybody, 1):
        yield SeatRow(
            task_id=event.task_id,
            seat=seat(agent.agent_id, coordinating=coordinating),
            tenant_id=event.tenant_id,
            place=place,
            agent_id=agent.agent_id,
            agent_version=agent.agent_version,
            coordinating=coordinating,
            status="pending",
            stage=None,
            turns=0,
            reply_hash=None,
            code=None,
            error=None,
        )


def _turn(turn: MemberTurnEvent, rows: Rows) -> None:
    """Update swarm and seat; a turn of a session whose name only looks like a swarm's finds no row."""
    swarm, before = rows.get(SwarmRow, turn.task_id), rows.get(SeatRow, turn.task_id, turn.seat)
    if swarm is None or before is None:
        return
    now = _update_seat(before, turn, swarm.mode)
    rows.put(now)
    moved = _update_swarm(swarm, before, now, turn)
    if moved != swarm:
        rows.put(moved)


def _update_seat(row: SeatRow, turn: MemberTurnEvent, mode: Mode) -> SeatRow:
    stage = PLANS[mode].stage_of(turn.turn, coordinating=row.coordinating)
    match turn.what:
        case "started" | "resumed":
            return replace(row, status="running", stage=stage, code=None, error=None)
        case "held":
            return replace(row, status="awaiting_approval", stage=stage)
        case "answered":
            reply_hash = turn.reply_hash if stage in CONTRIBUTING else row.reply_hash
            turns = max(row.turns, turn.turn)
            return replace(row, status="completed", turns=turns, reply_hash=reply_hash, code=None, error=None)
        case "failed":
            status: SeatStatus = _FAILED.get(turn.code or "", "failed")
            turns = max(row.turns, turn.turn)
            return replace(row, status=status, turns=turns, code=turn.code, error=turn.message)


_FAILED: dict[str, SeatStatus] = {"REJECTED": "rejected", "CANCELLED": "cancelled"}


def _update_swarm(swarm: SwarmRow, before: SeatRow, now: SeatRow, turn: MemberTurnEvent) -> SwarmRow:
    """Update the swarm after a turn's progress: its stage, its number of turns, and those waiting for approval."""
    held = swarm.held + (now.status == "awaiting_approval") - (before.status == "awaiting_approval")
    moved = replace(swarm, turns=swarm.turns + now.turns - before.turns, started_at=swarm.started_at or turn.at)
    if swarm.ended_at is not None:
        return moved
    status: Status = "awaiting_approval" if held else "running"
    approval_id = turn.approval_id or swarm.approval_id
    return replace(moved, status=status, stage=now.stage, held=held, approval_id=approval_id if held else None)


def _end(swarm: SwarmRow, event: SwarmEnded, rows: Rows) -> None:
    rows.put(
        replace(
            swarm,
            status=event.status,
            stage=None,
            held=0,
            result_hash=event.result_hash,
            partial=event.partial,
            code=event.code,
            reason=event.reason,
            ended_at=event.at,
            signature=event.signature,
        )
    )
    seats = (*swarm.members, seat(swarm.coordinator, coordinating=True))
    for row in rows.several(SeatRow, [(swarm.task_id, name) for name in seats]):
        if row.status in _STATUS_AT_END:
            rows.put(replace(row, status=_STATUS_AT_END[row.status], stage=None))


_STATUS_AT_END: dict[SeatStatus, SeatStatus] = {
    "pending": "skipped",
    "running": "cancelled",
    "awaiting_approval": "cancelled",
}
"""The final statuses of seats without a turn, or with a running one, when the swarm ended."""

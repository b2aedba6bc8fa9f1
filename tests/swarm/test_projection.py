"""Swarms as people look at them: folded from their events and from turns, live and anew."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.rows import RowsInMemory
from adapters.postgres.projections.runner import ProjectionRunner
from adapters.postgres.swarm import PostgresSwarms
from domain.chat.events import TurnAnswered, TurnFailed, TurnHeld, TurnResumed, TurnStarted
from domain.events import Event, RecordedEvent
from domain.ledger import Change, Ledger
from domain.message_parts import MessagePart
from domain.registry import event_registry
from domain.swarm.events import PinnedSwarmAgent, SwarmEnded, SwarmHeld, SwarmRequested
from domain.swarm.members import seat
from domain.swarm.ports import SwarmFilter
from domain.swarm.projection import SwarmProjection
from domain.swarm.views import SeatRow, SwarmRow, contribution, contributions

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
LEADER = seat("ali", coordinating=True)


def cause(second: int) -> dict[str, Any]:
    return {"by": "key_1", "because": "req_1", "at": START + timedelta(seconds=second)}


def requested(task_id: str = "task_1", mode: str = "collaborative", second: int = 0, **more: Any) -> SwarmRequested:
    fields = {
        "task_id": task_id,
        "mode": mode,
        "members": [{"agent_id": "ada", "agent_version": 2}, {"agent_id": "bea", "agent_version": 1}],
        "coordinator": {"agent_id": "ali", "agent_version": 3},
        "key_id": "key_1",
        "task_hash": "task",
        "rounds": 2,
        "require_approval": False,
        **cause(second),
    }
    return SwarmRequested.model_validate({**fields, **more})


def of_turn(name: str, turn: int, second: int, task_id: str = "task_1") -> dict[str, Any]:
    return {"session_id": f"{task_id}/{name}", "turn": turn, "message_id": f"{name}{turn}", **cause(second)}


def started(name: str, turn: int = 1, second: int = 1) -> TurnStarted:
    more = {"message_hash": "h", "agent_id": name, "agent_version": 1, "model": "m"}
    return TurnStarted(**of_turn(name, turn, second), **more)


def answered(name: str, turn: int = 1, second: int = 2) -> TurnAnswered:
    used = {"finish": "stop", "model": "m", "prompt_tokens": 1, "completion_tokens": 1, "cost": Decimal(0)}
    return TurnAnswered(reply_hash=f"{name}-{turn}", **of_turn(name, turn, second), **used)


def failed(name: str, turn: int = 1, code: str = "UPSTREAM_ERROR") -> TurnFailed:
    return TurnFailed.model_validate({**of_turn(name, turn, 3), "code": code, "message": "why"})


def held(name: str, turn: int = 1) -> TurnHeld:
    return TurnHeld(approval_id=f"approval-{name}", **of_turn(name, turn, 2))


def resumed(name: str, turn: int = 1) -> TurnResumed:
    return TurnResumed(approval_id=f"approval-{name}", **of_turn(name, turn, 3))


def ended(status: str = "completed", **more: Any) -> SwarmEnded:
    return SwarmEnded.model_validate({"task_id": "task_1", "status": status, **cause(9), **more})


def folded(*events: Event) -> tuple[SwarmRow, dict[str, SeatRow]]:
    rows, projection = RowsInMemory(), SwarmProjection()
    for position, event in enumerate(events, 1):
        projection.project(RecordedEvent(position, "stream", position, event), rows)
    swarm = rows.get(SwarmRow, "task_1")
    assert swarm is not None
    seats = {name: row for name in ("ada", "bea", LEADER) if (row := rows.get(SeatRow, "task_1", name))}
    return swarm, seats


def test_what_was_asked_for_is_pending() -> None:
    swarm, seats = folded(requested())
    assert (swarm.status, swarm.planned, swarm.turns, swarm.members) == ("pending", 5, 0, ["ada", "bea"])
    assert [(row.seat, row.place, row.agent_version, row.status) for row in seats.values()] == [
        ("ada", 1, 2, "pending"),
        ("bea", 2, 1, "pending"),
        (LEADER, 3, 3, "pending"),
    ]


def test_turns_move_it_on() -> None:
    swarm, seats = folded(requested(), started("ada"), started("bea"), answered("ada"))
    assert (swarm.status, swarm.stage, swarm.turns) == ("running", "answer", 1)
    assert swarm.started_at == START + timedelta(seconds=1)
    assert (seats["ada"].status, seats["ada"].turns, seats["ada"].reply_hash) == ("completed", 1, "ada-1")
    assert (seats["bea"].status, seats["bea"].turns, seats["bea"].stage) == ("running", 0, "answer")


def test_the_newest_contribution_counts_and_a_failed_one_does_not() -> None:
    swarm, seats = folded(requested(), answered("ada"), started("ada", 2), answered("ada", 2), answered("bea"))
    assert (seats["ada"].reply_hash, swarm.turns) == ("ada-2", 3)
    swarm, seats = folded(requested(), answered("ada"), started("ada", 2), failed("ada", 2))
    row = seats["ada"]
    assert (row.status, row.reply_hash, row.turns, row.code, row.error) == (
        "failed",
        "ada-1",
        2,
        "UPSTREAM_ERROR",
        "why",
    )
    assert swarm.status == "running"


def test_what_the_coordinator_says_is_no_contribution() -> None:
    swarm, seats = folded(requested(), started(LEADER), answered(LEADER))
    assert (seats[LEADER].status, seats[LEADER].reply_hash, swarm.stage) == ("completed", None, "integrate")


def test_a_ballot_is_no_contribution_either() -> None:
    _, seats = folded(requested(mode="vote"), answered("ada"), answered("ada", 2))
    assert (seats["ada"].turns, seats["ada"].reply_hash) == (2, "ada-1")


def test_it_waits_as_long_as_any_turn_waits_for_a_person() -> None:
    begun = [requested(), started("ada"), started("bea"), held("ada"), held("bea")]
    swarm, seats = folded(*begun)
    assert (swarm.status, swarm.held, swarm.approval_id) == ("awaiting_approval", 2, "approval-bea")
    assert seats["ada"].status == "awaiting_approval"
    swarm, _ = folded(*begun, resumed("ada"), answered("ada"))
    assert (swarm.status, swarm.held) == ("awaiting_approval", 1)
    swarm, seats = folded(*begun, resumed("ada"), failed("bea", code="REJECTED"))
    assert (swarm.status, swarm.held, swarm.approval_id) == ("running", 0, None)
    assert seats["bea"].status == "rejected"


def test_a_held_result_waits_and_its_end_waits_no_more() -> None:
    waits = SwarmHeld(task_id="task_1", approval_id="approval_9", result_hash="r", **cause(8))
    swarm, _ = folded(requested(), answered("ada"), waits)
    assert (swarm.status, swarm.approval_id, swarm.result_hash) == ("awaiting_approval", "approval_9", None)
    swarm, _ = folded(requested(), answered("ada"), waits, ended(result_hash="r"))
    assert (swarm.status, swarm.held, swarm.result_hash) == ("completed", 0, "r")


def test_the_end_says_what_became_of_those_who_had_no_turn_or_were_in_one() -> None:
    swarm, seats = folded(requested(), started("ada"), ended("cancelled", reason="it was cancelled by request"))
    assert (swarm.status, swarm.stage, swarm.reason, swarm.ended_at) == (
        "cancelled",
        None,
        "it was cancelled by request",
        START + timedelta(seconds=9),
    )
    assert [row.status for row in seats.values()] == ["cancelled", "skipped", "skipped"]


def test_a_turn_that_ends_after_the_end_does_not_open_it_again() -> None:
    swarm, seats = folded(requested(), started("ada"), ended("cancelled"), failed("ada", code="CANCELLED"))
    assert (swarm.status, swarm.turns, seats["ada"].status) == ("cancelled", 1, "cancelled")


def test_turns_that_belong_to_nobody_here_are_passed_over() -> None:
    swarm, _ = folded(requested(), started("a-tool-call"), started("zoe"))
    assert (swarm.status, swarm.turns) == ("pending", 0)


def test_contributions_stand_under_their_speakers() -> None:
    swarm, seats = folded(requested(), answered("bea"), answered(LEADER))
    assert contribution(swarm, seats["ada"]) is None
    assert contributions(swarm, seats.values()) == (
        MessagePart(""),
        MessagePart("## bea\n\n"),
        MessagePart(hash="bea-1"),
    )
    swarm, seats = folded(requested(mode="handoff"), answered("ada"))
    assert contribution(swarm, seats["ada"]) == MessagePart(hash="ada-1", at=("answer",))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


def record(database: Database, events: Sequence[Event]) -> None:
    ledger, number = Ledger(LedgerRecorder(database), event_registry()), count()
    for event in events:
        place = next(number)
        ledger.append(Change(f"stream:{place}", 0, [event]), key=f"key:{place}")
    ProjectionRunner(database.dsn, event_registry(), [SwarmProjection()]).catch_up()


HISTORY = [
    requested(deadline=START + timedelta(days=1), budget_usd="1.50", project_id="7"),
    started("ada"),
    held("ada"),
    started("bea"),
    resumed("ada"),
    answered("ada"),
    failed("bea"),
    requested("task_2", "vote", 5, tenant_id="acme"),
    requested("task_3", "debate", 5, coordinator={"agent_id": "zoe", "agent_version": 1}),
    ended(result_hash="r", partial=True, code="C", reason="R"),
]


def test_live_tables_and_those_made_anew_are_equal(database: Database) -> None:
    record(database, HISTORY)
    done = Rebuild(database.dsn, event_registry(), SwarmProjection()).run()
    assert len(done.comparisons) == 2
    assert all(comparison.equal for comparison in done.comparisons)


def test_reading_finds_what_was_folded(database: Database) -> None:
    record(database, HISTORY)
    swarms = PostgresSwarms(database)
    expected, seats = folded(*[event for event in HISTORY if getattr(event, "task_id", "task_1") == "task_1"])
    seen = swarms.swarm("task_1")
    assert seen is not None
    assert seen.row == expected
    assert seen.seats == tuple(seats.values())
    assert (seen.spent, seen.total.tokens, seen.total.cost) == ({}, 0, Decimal(0))
    assert swarms.swarm("task_9") is None


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (SwarmFilter("default"), ["task_3", "task_1"]),
        (SwarmFilter("acme"), ["task_2"]),
        (SwarmFilter("default", status="completed"), ["task_1"]),
        (SwarmFilter("acme", status="pending", mode="vote"), ["task_2"]),
        (SwarmFilter("default", agent_id="zoe"), ["task_3"]),
        (SwarmFilter("acme", agent_id="bea"), ["task_2"]),
        (SwarmFilter("default", agent_id="nobody"), []),
    ],
)
def test_lists_are_filtered_and_newest_first(database: Database, wanted: SwarmFilter, found: list[str]) -> None:
    record(database, HISTORY)
    page = PostgresSwarms(database).page(wanted, skip=0, limit=10)
    assert ([seen.row.task_id for seen in page.swarms], page.total) == (found, len(found))
    assert [seen.row.task_id for seen in PostgresSwarms(database).page(wanted, skip=1, limit=1).swarms] == found[1:2]


def test_those_without_an_end_are_found_oldest_first(database: Database) -> None:
    record(database, HISTORY)
    swarms = PostgresSwarms(database)
    later = START + timedelta(seconds=6)
    assert {row.task_id for row in swarms.open_swarms(later, 10)} == {"task_2", "task_3"}
    assert len(swarms.open_swarms(later, 1)) == 1
    assert swarms.open_swarms(START + timedelta(seconds=5), 10) == []


def test_an_agent_keeps_its_version() -> None:
    swarm = requested(members=[{"agent_id": "ada", "agent_version": 7, "hold": "high"}])
    assert swarm.members == (PinnedSwarmAgent(agent_id="ada", agent_version=7, hold="high"),)

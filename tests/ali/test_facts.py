"""The facts that the rules look at, read from real tables."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Placeholder

from adapters.postgres.ali import PostgresAli
from adapters.postgres.ledger.pool import Connection, Database
from domain.ali.insights import first_day, insights
from domain.ali.ports import DayCost, DayTurns, Facts, RunningRun, UsualDuration, WaitingApproval
from domain.ali.thresholds import Thresholds
from domain.approvals.projection import ApprovalRow
from domain.chat.views import TurnRow
from domain.costs.projection import UsageRow
from domain.projection import Row
from domain.swarm.views import SwarmRow

NOW = datetime(2026, 3, 9, 15, 30, tzinfo=UTC)
TODAY = NOW.date()

TURN = TurnRow(
    session_id="session_1",
    turn=1,
    tenant_id="default",
    message_id="message",
    message_hash="hash",
    reply_hash=None,
    agent_id="amy_cfo",
    agent_version=1,
    status="completed",
    visits=1,
    model="scripted",
    finish=None,
    prompt_tokens=0,
    completion_tokens=0,
    cost=Decimal(0),
    code=None,
    error=None,
    at=NOW,
    ended_at=None,
    approval_id=None,
    rating=None,
    tools=[],
    steps=0,
    origin_session_id=None,
)
SWARM = SwarmRow(
    task_id="task_1",
    tenant_id="default",
    mode="debate",
    status="running",
    stage=None,
    members=["amy_cfo", "antonio_strategy_expert"],
    coordinator="ali_chief_of_staff",
    key_id="anonymous",
    project_id=None,
    task_hash="hash",
    context_hash=None,
    rounds=2,
    deadline=None,
    budget_usd=None,
    require_approval=False,
    planned=5,
    turns=0,
    held=0,
    approval_id=None,
    result_hash=None,
    partial=False,
    code=None,
    reason=None,
    requested_at=NOW - timedelta(minutes=2),
    started_at=NOW - timedelta(minutes=1),
    ended_at=None,
)
APPROVAL = ApprovalRow(
    id="approval_1",
    tenant_id="default",
    kind="request",
    risk="medium",
    title="May I?",
    status="pending",
    agent_id="amy_cfo",
    owner="session_1",
    content_hash="hash",
    payload_hash=None,
    workflow_id="chat-session_1",
    waiter_id="chat-session_1",
    requested_by="anonymous",
    project_id=None,
    session_id="session_1",
    turn=1,
    deciders=["*"],
    agreed=[],
    quorum=1,
    separation=False,
    on_expiry="reject",
    reminders=0,
    created_at=NOW - timedelta(hours=1),
    expires_at=NOW + timedelta(hours=1),
    escalated_at=None,
    decided_at=None,
    decided_by=None,
    comment_hash=None,
    edited_hash=None,
    version=1,
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with psycopg.connect(database_url, autocommit=True) as opened:
        yield opened


def put(connection: Connection, *rows: Row) -> None:
    """Insert rows as their projections would write them."""
    for row in rows:
        values: dict[str, Any] = asdict(row)  # type: ignore[call-overload]
        columns, marks = SQL(", ").join(map(Identifier, values)), SQL(", ").join(map(Placeholder, values))
        statement = SQL("INSERT INTO {} ({}) VALUES ({})").format(Identifier(row.TABLE), columns, marks)
        connection.execute(statement, values)


def facts(database: Database, *, first: date = TODAY - timedelta(days=8), most: int = 100) -> Facts:
    return PostgresAli(database).facts("default", NOW, first=first, most=most)


def back(days: int) -> datetime:
    return NOW - timedelta(days=days)


def turns(number: int, **changes: Any) -> list[TurnRow]:
    """So many turns alike, each in a session of its own."""
    name = "-".join(str(value) for value in changes.values())
    return [replace(TURN, session_id=f"session_{name}-{index}", **changes) for index in range(number)]


def test_facts_are_of_one_tenant(database: Database) -> None:
    rows = (UsageRow("acme", TODAY, "amy_cfo", "big", "key_1", cost=Decimal(1)), TURN, SWARM, APPROVAL)
    with database.connection() as connection:
        put(connection, *(replace(row, tenant_id="acme") for row in rows))
    assert facts(database) == Facts(NOW)
    found = PostgresAli(database).facts("acme", NOW, first=TODAY - timedelta(days=8), most=100)
    assert (len(found.costs), len(found.turns), len(found.approvals), len(found.running)) == (1, 1, 1, 1)


def test_an_empty_database_has_no_facts(database: Database) -> None:
    assert facts(database) == Facts(NOW)


def test_costs_are_summed_by_agent_and_day(database: Database, connection: Connection) -> None:
    put(
        connection,
        UsageRow("default", TODAY, "amy_cfo", "big", "key_1", cost=Decimal("1.000000001")),
        UsageRow("default", TODAY, "amy_cfo", "small", "key_2", cost=Decimal("0.5")),
        UsageRow("default", back(8).date(), "amy_cfo", "big", "key_1", cost=Decimal(2)),
        UsageRow("default", back(9).date(), "amy_cfo", "big", "key_1", cost=Decimal(4)),
        UsageRow("default", TODAY, "free_agent", "local", "key_1", requests=7),
    )
    assert set(facts(database).costs) == {
        DayCost(TODAY, "amy_cfo", Decimal("1.500000001")),
        DayCost(back(8).date(), "amy_cfo", Decimal(2)),
    }


def test_turns_are_counted_by_agent_and_day_of_utc(database: Database, connection: Connection) -> None:
    midnight = datetime(2026, 3, 9, tzinfo=UTC)
    put(
        connection,
        *turns(3, at=midnight),
        *turns(2, at=midnight - timedelta(microseconds=1), status="failed", code="UPSTREAM_ERROR"),
        *turns(1, at=back(8), status="failed", code="INTERNAL_ERROR"),
        *turns(1, at=back(20)),
    )
    assert set(facts(database).turns) == {
        DayTurns(TODAY, "amy_cfo", 3, 0),
        DayTurns(back(1).date(), "amy_cfo", 0, 2),
        DayTurns(back(8).date(), "amy_cfo", 0, 1),
    }


def test_what_people_stopped_and_what_a_fork_copied_says_nothing_about_an_agent(
    database: Database, connection: Connection
) -> None:
    put(
        connection,
        *turns(2, status="rejected", code="REJECTED"),
        *turns(2, status="failed", code="CANCELLED"),
        *turns(2, status="failed", code="UPSTREAM_ERROR", origin_session_id="session_0"),
        *turns(2, status="running"),
        *turns(2, status="awaiting_approval", approval_id="approval_1"),
    )
    assert facts(database).turns == ()


def test_open_decisions_are_those_that_people_still_owe(database: Database, connection: Connection) -> None:
    closed = ("approved", "rejected", "expired", "withdrawn")
    put(
        connection,
        APPROVAL,
        replace(APPROVAL, id="approval_2", status="escalated", created_at=back(1), risk="high"),
        *(replace(APPROVAL, id=f"approval_{status}", status=status) for status in closed),
    )
    assert facts(database).approvals == (
        WaitingApproval("approval_2", "high", back(1), APPROVAL.expires_at),
        WaitingApproval("approval_1", "medium", APPROVAL.created_at, APPROVAL.expires_at),
    )
    assert [it.approval_id for it in facts(database, most=1).approvals] == ["approval_2"]


def test_running_is_what_waits_for_nobody(database: Database, connection: Connection) -> None:
    put(
        connection,
        replace(TURN, session_id="task_1/amy_cfo", turn=2, status="running", at=back(1)),
        *turns(1, status="awaiting_approval", approval_id="approval_1"),
        *turns(1, status="running", approval_id="approval_2"),
        SWARM,
        replace(SWARM, task_id="task_2", status="pending", started_at=None),
        replace(SWARM, task_id="task_3", status="awaiting_approval", approval_id="approval_3"),
        replace(SWARM, task_id="task_4", status="completed", ended_at=NOW),
    )
    assert facts(database).running == (
        RunningRun("turn", "task_1/amy_cfo#2", back(1)),
        RunningRun("swarm", "task_1", NOW - timedelta(minutes=1)),
        RunningRun("swarm", "task_2", NOW - timedelta(minutes=2)),
    )


def test_the_usual_time_is_the_95th_percentile_of_what_finished(database: Database, connection: Connection) -> None:
    at = back(2)
    for seconds in range(1, 102):
        put(connection, *turns(1, at=at, ended_at=at + timedelta(seconds=seconds)))
    put(
        connection,
        *turns(1, at=at, ended_at=NOW, approval_id="approval_1"),
        *turns(1, at=at, ended_at=NOW, status="failed"),
        *turns(1, at=at, ended_at=NOW, origin_session_id="session_0"),
        *turns(1, at=back(30), ended_at=NOW),
        *(
            replace(
                SWARM, task_id=f"task_{number}", status="completed", started_at=at, ended_at=at + timedelta(hours=1)
            )
            for number in range(3)
        ),
    )
    assert facts(database).usual == (UsualDuration("turn", 101, 96.0), UsualDuration("swarm", 3, 3600.0))


def test_the_rules_find_what_the_tables_show(database: Database, connection: Connection) -> None:
    put(
        connection,
        *(UsageRow("default", back(day).date(), "amy_cfo", "big", "key_1", cost=Decimal(1)) for day in range(1, 8)),
        UsageRow("default", TODAY, "amy_cfo", "big", "key_1", cost=Decimal(7)),
        *turns(4, at=NOW - timedelta(hours=1), status="failed", code="UPSTREAM_ERROR"),
        *turns(2, at=NOW - timedelta(hours=2), ended_at=NOW),
        replace(TURN, session_id="session_slow", status="running", at=NOW - timedelta(hours=1)),
        replace(APPROVAL, created_at=back(1)),
        replace(SWARM, started_at=NOW - timedelta(hours=5)),
    )
    limits = Thresholds()
    found = insights(facts(database, first=first_day(NOW, limits)), limits)
    assert [(it.kind, it.subject, it.severity) for it in found] == [
        ("cost_spike", "agent:amy_cfo", "critical"),
        ("cost_spike", "platform", "critical"),
        ("failing_agent", "agent:amy_cfo", "critical"),
        ("slow_run", "swarm:task_1", "critical"),
        ("slow_run", "turn:session_slow#1", "critical"),
        ("stuck_approval", "approval:approval_1", "critical"),
    ]

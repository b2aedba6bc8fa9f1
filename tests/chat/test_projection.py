"""Sessions and turns as people look at them, on real tables."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.pool import Database
from adapters.postgres.projection_runner import ProjectionRunner
from adapters.postgres.rebuild import Rebuild
from adapters.postgres.recorder import LedgerRecorder
from adapters.postgres.views import RowsInMemory, load
from domain.chat.aggregate import session_stream, turn_stream
from domain.chat.events import (
    EVENTS,
    SessionEnded,
    SessionOpened,
    SessionSummarised,
    TurnAnswered,
    TurnFailed,
    TurnStarted,
)
from domain.chat.projection import ChatProjection, SessionRow, TurnRow
from domain.events import Event, Recorded, Registry
from domain.ids import random_id
from domain.ledger import Change, Ledger

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
REGISTRY = Registry(EVENTS)


def cause(minute: int) -> dict[str, Any]:
    return {"by": "key_1", "because": "req_1", "at": START + timedelta(minutes=minute)}


def opened(minute: int = 0, session_id: str = "s1") -> SessionOpened:
    return SessionOpened(
        session_id=session_id, agent_id="ada", key_id="key_1", workflow_id=f"chat-{session_id}", **cause(minute)
    )


def ended(minute: int = 9, session_id: str = "s1") -> SessionEnded:
    return SessionEnded(session_id=session_id, **cause(minute))


def started(minute: int = 1, turn: int = 1, session_id: str = "s1") -> TurnStarted:
    return TurnStarted(
        session_id=session_id,
        turn=turn,
        message_id=f"m{turn}",
        message_hash=f"said{turn}",
        agent_id="ada",
        agent_version=2,
        model="some/model",
        **cause(minute),
    )


def answered(minute: int = 2, turn: int = 1, session_id: str = "s1") -> TurnAnswered:
    return TurnAnswered(
        session_id=session_id,
        turn=turn,
        message_id=f"m{turn}",
        reply_hash=f"reply{turn}",
        finish="stop",
        model="some/model-2026",
        prompt_tokens=40,
        completion_tokens=7,
        cost=Decimal("0.00120"),
        **cause(minute),
    )


def failed(minute: int = 2, turn: int = 1, session_id: str = "s1") -> TurnFailed:
    return TurnFailed(
        session_id=session_id,
        turn=turn,
        message_id=f"m{turn}",
        code="UPSTREAM_ERROR",
        message="no answer",
        **cause(minute),
    )


def folded(events: Sequence[Event]) -> RowsInMemory:
    rows, projection = RowsInMemory(), ChatProjection()
    for position, event in enumerate(events, 1):
        projection.project(Recorded(position, "s", position, event), rows)
    return rows


def session(*events: Event) -> SessionRow:
    row = folded(events).get(SessionRow, "s1")
    assert row is not None
    return row


def turn(*events: Event) -> TurnRow:
    row = folded(events).get(TurnRow, "s1", 1)
    assert row is not None
    return row


def test_a_session_that_was_opened_is_idle_and_empty() -> None:
    row = session(opened())
    assert (row.status, row.turns, row.opened_at, row.last_at, row.ended_at) == ("idle", 0, START, START, None)
    assert (row.agent_id, row.key_id, row.workflow_id) == ("ada", "key_1", "chat-s1")


@pytest.mark.parametrize(
    ("events", "status", "turns", "minute"),
    [
        ([started()], "running", 1, 1),
        ([started(), answered()], "idle", 1, 2),
        ([started(), failed()], "idle", 1, 2),
        ([started(), answered(), started(3, 2)], "running", 2, 3),
        ([started(), failed(), started(3)], "running", 1, 3),
        ([started(), ended(3)], "ended", 1, 3),
        ([started(), ended(3), answered(4)], "ended", 1, 4),
    ],
)
def test_a_session_shows_what_goes_on_in_it(events: list[Event], status: str, turns: int, minute: int) -> None:
    row = session(opened(), *events)
    assert (row.status, row.turns, row.last_at) == (status, turns, START + timedelta(minutes=minute))


def test_an_ended_session_knows_when() -> None:
    assert session(opened(), ended(9)).ended_at == START + timedelta(minutes=9)


def test_a_turn_that_runs_has_no_answer_yet() -> None:
    row = turn(opened(), started())
    assert (row.status, row.visits, row.message_id, row.message_hash) == ("running", 1, "m1", "said1")
    assert (row.reply_hash, row.finish, row.cost, row.code, row.ended_at) == (None, None, Decimal(0), None, None)
    assert (row.agent_id, row.agent_version, row.model) == ("ada", 2, "some/model")


def test_an_answered_turn_shows_answer_tokens_and_cost() -> None:
    row = turn(opened(), started(), answered())
    assert (row.status, row.reply_hash, row.finish, row.model) == ("completed", "reply1", "stop", "some/model-2026")
    assert (row.prompt_tokens, row.completion_tokens, row.cost) == (40, 7, Decimal("0.00120"))
    assert (row.at, row.ended_at) == (START + timedelta(minutes=1), START + timedelta(minutes=2))


def test_a_failed_turn_shows_why() -> None:
    row = turn(opened(), started(), failed())
    assert (row.status, row.code, row.error) == ("failed", "UPSTREAM_ERROR", "no answer")
    assert row.ended_at == START + timedelta(minutes=2)


def test_a_turn_that_starts_again_forgets_its_failure_and_counts_its_visits() -> None:
    row = turn(opened(), started(), failed(), started(3))
    assert (row.status, row.visits, row.code, row.error, row.ended_at) == ("running", 2, None, None, None)


def test_an_answer_heals_a_failed_turn() -> None:
    row = turn(opened(), started(), failed(), answered(4))
    assert (row.status, row.code, row.error, row.reply_hash) == ("completed", None, None, "reply1")


@pytest.mark.parametrize("event", [ended(), started(), answered(), failed()])
def test_what_has_no_beginning_cannot_be_shown(event: Event) -> None:
    with pytest.raises(LookupError, match="was never"):
        folded([event])


def test_summaries_and_events_of_others_change_nothing_people_see() -> None:
    summary = SessionSummarised(session_id="s1", upto=1, summary_hash="h", **cause(5))
    assert session(opened(), summary) == session(opened())


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Event]]:
    """(stream, event) of two sessions, as they may happen."""
    events: list[tuple[str, Event]] = []
    for session_id in ("s1", "s2"):
        events.append((session_stream(session_id), opened(0, session_id)))
        for n in range(1, draw(st.integers(1, 4))):
            stream = turn_stream(session_id, n)
            for _ in range(draw(st.integers(0, 2))):
                events += [(stream, started(n, n, session_id)), (stream, failed(n, n, session_id))]
            events.append((stream, started(n, n, session_id)))
            if draw(st.booleans()):
                events.append((stream, answered(n, n, session_id)))
        if draw(st.booleans()):
            events.append((session_stream(session_id), ended(9, session_id)))
    return events


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(histories(), st.integers(1, 4))
def test_live_tables_hold_what_memory_holds(database: Database, history: list[tuple[str, Event]], batches: int) -> None:
    with database.connection() as connection:
        connection.execute("TRUNCATE ledger_events, projection_positions, projection_dead_letters")
        connection.execute("TRUNCATE chat_sessions, chat_turns")
    ledger = Ledger(LedgerRecorder(database), REGISTRY)
    for n, (stream, event) in enumerate(history):
        ledger.append(Change(stream, len(ledger.read(stream)), [event]), key=random_id("k"))
        if n % batches == 0:
            ProjectionRunner(database.dsn, REGISTRY, [ChatProjection()]).catch_up()
    ProjectionRunner(database.dsn, REGISTRY, [ChatProjection()]).catch_up()
    memory = folded([event for _, event in history])
    with psycopg.connect(database.dsn, options="-c TimeZone=UTC") as connection:
        for kind in (SessionRow, TurnRow):
            wanted = {tuple(getattr(row, name) for name in kind.KEY): row for row in memory.all(kind)}
            live = {tuple(getattr(row, name) for name in kind.KEY): row for row in load(connection, kind, wanted)}
            assert live == wanted
    rebuilt = Rebuild(database.dsn, REGISTRY, ChatProjection()).run()
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    assert rebuilt.set_aside == 0

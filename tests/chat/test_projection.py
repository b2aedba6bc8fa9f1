"""Sessions and turns as people look at them, on real tables."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.rows import RowsInMemory, load
from adapters.postgres.projections.runner import ProjectionRunner
from domain.chat import ratings
from domain.chat.events import (
    EVENTS,
    FailureCode,
    ForkOrigin,
    RequestedTool,
    SessionEnded,
    SessionOpened,
    SessionSummarised,
    TurnAnswered,
    TurnFailed,
    TurnHeld,
    TurnProposed,
    TurnRated,
    TurnResumed,
    TurnStarted,
    TurnStepped,
)
from domain.chat.forks import lineage_at
from domain.chat.projection import ChatProjection
from domain.chat.sessions import session_stream
from domain.chat.turns import turn_stream
from domain.chat.views import SessionRow, TurnRow
from domain.events import Event, EventRegistry, RecordedEvent
from domain.ids import random_id
from domain.ledger import Change, Ledger

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
REGISTRY = EventRegistry(EVENTS)


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


def failed(minute: int = 2, turn: int = 1, session_id: str = "s1", code: FailureCode = "UPSTREAM_ERROR") -> TurnFailed:
    return TurnFailed(
        session_id=session_id,
        turn=turn,
        message_id=f"m{turn}",
        code=code,
        message="no answer",
        **cause(minute),
    )


def stepped(minute: int = 2, step: int = 1, turn: int = 1, session_id: str = "s1", **tools: bool) -> TurnStepped:
    """A step that asked for these tools, validly or not."""
    return TurnStepped(
        session_id=session_id,
        turn=turn,
        message_id=f"m{turn}",
        step=step,
        reply_hash=f"step{step}",
        tools=tuple(
            RequestedTool(tool_call_id=f"call{step}.{n}", name=name, is_valid=is_valid)
            for n, (name, is_valid) in enumerate(tools.items())
        ),
        prompt_tokens=30,
        completion_tokens=5,
        cost=Decimal("0.00010"),
        **cause(minute),
    )


def proposed(minute: int = 3, turn: int = 1, session_id: str = "s1") -> TurnProposed:
    return TurnProposed(session_id=session_id, turn=turn, message_id=f"m{turn}", **ANSWER, **cause(minute))


def held(minute: int = 3, turn: int = 1, session_id: str = "s1") -> TurnHeld:
    return TurnHeld(session_id=session_id, turn=turn, message_id=f"m{turn}", approval_id="approval_1", **cause(minute))


def resumed(minute: int = 4, turn: int = 1, session_id: str = "s1") -> TurnResumed:
    return TurnResumed(
        session_id=session_id, turn=turn, message_id=f"m{turn}", approval_id="approval_1", **cause(minute)
    )


def rated(rating: int, minute: int = 5, turn: int = 1, session_id: str = "s1") -> TurnRated:
    return TurnRated(session_id=session_id, turn=turn, agent_id="ada", rating=rating, **cause(minute))


def forked(session_id: str, *origins: tuple[str, int], minute: int = 6) -> SessionOpened:
    lineage = tuple(ForkOrigin(session_id=origin, upto=upto) for origin, upto in origins)
    return opened(minute, session_id).model_copy(update={"lineage": lineage})


ANSWER = {
    "reply_hash": "draft",
    "finish": "stop",
    "model": "some/model-2026",
    "prompt_tokens": 70,
    "completion_tokens": 12,
    "cost": Decimal("0.00130"),
}


def folded(events: Sequence[Event]) -> RowsInMemory:
    rows, projection = RowsInMemory(), ChatProjection()
    for position, event in enumerate(events, 1):
        projection.project(RecordedEvent(position, "s", position, event), rows)
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
        ([started(), stepped()], "running", 1, 2),
        ([started(), held()], "awaiting_approval", 1, 3),
        ([started(), held(), resumed()], "running", 1, 4),
        ([started(), held(), failed(4, code="REJECTED")], "idle", 1, 4),
        ([started(), held(), ended(4)], "ended", 1, 4),
        ([started(), answered(), rated(4)], "idle", 1, 2),
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


def test_a_turn_counts_its_steps_and_names_the_tools_that_were_called() -> None:
    row = turn(
        opened(),
        started(),
        stepped(2, 1, query_costs=True, no_such_tool=False),
        stepped(3, 2, find_talents=True, query_costs=True),
    )
    assert (row.status, row.steps, row.tools) == ("running", 2, ["query_costs", "find_talents", "query_costs"])
    assert (row.prompt_tokens, row.completion_tokens, row.cost) == (60, 10, Decimal("0.00020"))


def test_an_answer_brings_the_tokens_of_the_whole_turn() -> None:
    row = turn(opened(), started(), stepped(2, 1, query_costs=True), answered(3))
    assert (row.prompt_tokens, row.completion_tokens, row.cost) == (40, 7, Decimal("0.00120"))
    assert (row.steps, row.tools) == (1, ["query_costs"])


def test_a_turn_that_starts_again_counts_its_steps_anew() -> None:
    row = turn(opened(), started(), stepped(2, 1, query_costs=True), failed(3), started(4))
    assert (row.steps, row.tools, row.prompt_tokens, row.cost, row.visits) == (0, [], 0, Decimal(0), 2)


def test_a_held_answer_names_its_approval_and_not_its_text() -> None:
    row = turn(opened(), started(), proposed(), held())
    assert (row.status, row.approval_id, row.reply_hash) == ("awaiting_approval", "approval_1", None)
    assert (row.model, row.finish, row.prompt_tokens, row.cost) == ("some/model-2026", "stop", 70, Decimal("0.00130"))


def test_a_held_step_goes_on_after_the_decision() -> None:
    row = turn(opened(), started(), stepped(2, 1, web_fetch=True), held(), resumed())
    assert (row.status, row.approval_id, row.prompt_tokens) == ("running", "approval_1", 30)
    row = turn(opened(), started(), stepped(2, 1, web_fetch=True), held(), resumed(), answered(5))
    assert (row.status, row.approval_id, row.ended_at) == ("completed", "approval_1", START + timedelta(minutes=5))


def test_a_turn_that_a_person_refused_is_rejected() -> None:
    row = turn(opened(), started(), proposed(), held(), failed(4, code="REJECTED"))
    assert (row.status, row.code, row.reply_hash) == ("rejected", "REJECTED", None)


def test_a_run_that_was_stopped_leaves_a_failed_turn() -> None:
    row = turn(opened(), started(), held(), failed(4, code="CANCELLED"))
    assert (row.status, row.code) == ("failed", "CANCELLED")


def test_the_latest_rating_of_a_turn_counts() -> None:
    assert turn(opened(), started(), answered()).rating is None
    assert turn(opened(), started(), answered(), rated(2), rated(5)).rating == 5


def test_ratings_commute_with_all_that_comes_after_the_answer() -> None:
    before = [opened(), started(), answered()]
    after = [started(3, 2), ended(4)]
    assert turn(*before, rated(3), *after) == turn(*before, *after, rated(3))
    assert session(*before, rated(3), *after) == session(*before, *after, rated(3))


def test_turns_of_inner_sessions_have_no_session() -> None:
    inner = "task_x/antonio"
    for history in (
        [started(session_id=inner), answered(session_id=inner)],
        [started(session_id=inner), held(session_id=inner), resumed(session_id=inner), failed(session_id=inner)],
    ):
        rows = folded(history)
        assert list(rows.all(SessionRow)) == []
        row = rows.get(TurnRow, inner, 1)
        assert row is not None
        assert row.status in {"completed", "failed"}


def test_a_fork_begins_with_copies_of_the_turns_that_are_over() -> None:
    history = [opened(), started(), answered(), started(3, 2), failed(4, 2), started(5, 3), forked("s2", ("s1", 2))]
    rows = folded([*history, answered(7, 3)])
    fork = rows.get(SessionRow, "s2")
    assert fork is not None
    assert (fork.turns, fork.status, fork.origin_session_id, fork.origin_turn) == (2, "idle", "s1", 2)
    copies = [rows.get(TurnRow, "s2", n) for n in (1, 2)]
    origins = [rows.get(TurnRow, "s1", n) for n in (1, 2)]
    assert [copy and replace(copy, session_id="s1", origin_session_id=None) for copy in copies] == origins
    assert [copy and copy.origin_session_id for copy in copies] == ["s1", "s1"]
    assert rows.get(TurnRow, "s2", 3) is None


def test_a_fork_of_a_fork_has_turns_of_both() -> None:
    rows = folded(
        [
            *[opened(), started(), answered(), started(3, 2), answered(4, 2)],
            *[forked("s2", ("s1", 1)), started(7, 2, "s2"), answered(8, 2, "s2")],
            forked("s3", ("s1", 1), ("s2", 2), minute=9),
        ]
    )
    copies = [rows.get(TurnRow, "s3", n) for n in (1, 2)]
    assert [copy and (copy.origin_session_id, copy.at) for copy in copies] == [
        ("s1", START + timedelta(minutes=1)),
        ("s2", START + timedelta(minutes=7)),
    ]


def test_what_happens_to_the_origin_later_leaves_the_fork_alone() -> None:
    before = [opened(), started(), answered(), forked("s2", ("s1", 1))]
    rows = folded([*before, rated(1, 7), ended(8)])
    fork = rows.get(TurnRow, "s2", 1)
    assert fork is not None
    assert fork.rating is None
    assert rows.get(SessionRow, "s2") == folded(before).get(SessionRow, "s2")


@pytest.mark.parametrize(
    "event", [ended(), started(), stepped(), held(), resumed(), answered(), failed(), rated(1), failed(code="REJECTED")]
)
def test_what_has_no_beginning_cannot_be_shown(event: Event) -> None:
    with pytest.raises(LookupError, match="was never"):
        folded([event])


def test_summaries_and_events_of_others_change_nothing_people_see() -> None:
    summary = SessionSummarised(session_id="s1", upto=1, summary_hash="h", **cause(5))
    assert session(opened(), summary) == session(opened())


Placed = tuple[str, Event]
ENDS = ("open", "answered", "held", "let go", "edited", "rejected", "given up")


def worked_on(draw: st.DrawFn, session_id: str, n: int) -> list[Placed]:
    """The events of one turn: tries that fail, steps, an end or none, ratings."""
    of = {"turn": n, "session_id": session_id}
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 2))):
        events += [started(n, **of), failed(n, **of)]
    events.append(started(n, **of))
    events += [stepped(n, step, **of, query_costs=True) for step in range(1, draw(st.integers(1, 3)))]
    match end := draw(st.sampled_from(ENDS)):
        case "open":
            pass
        case "answered":
            events.append(answered(n, **of))
        case "given up":
            events.append(failed(n, **of))
        case _:
            events += [proposed(n, **of)] if draw(st.booleans()) else []
            events.append(held(n, **of))
            last = {"let go": [resumed(n, **of), answered(n, **of)], "edited": [answered(n, **of)]}
            events += last.get(end, [failed(n, **of, code="REJECTED")] if end == "rejected" else [])
    given = [(turn_stream(session_id, n), event) for event in events]
    if isinstance(events[-1], TurnAnswered):
        stars = draw(st.lists(st.integers(1, 5), max_size=2))
        given += [(ratings.stream(session_id, n), rated(star, n, **of)) for star in stars]
    return given


@st.composite
def histories(draw: st.DrawFn) -> list[Placed]:
    """(stream, event) of two sessions, an inner one, and forks of these, as they may happen."""
    events: list[Placed] = []
    for session_id in ("s1", "s2", "task_x/ada"):
        if "/" not in session_id:
            events.append((session_stream(session_id), opened(0, session_id)))
        for n in range(1, draw(st.integers(1, 4))):
            events += worked_on(draw, session_id, n)
        if "/" not in session_id and draw(st.booleans()):
            events.append((session_stream(session_id), ended(9, session_id)))
    if draw(st.booleans()):
        begun = lineage_at("s1", (), draw(st.integers(1, 3)))
        events.append((session_stream("f1"), opened(9, "f1").model_copy(update={"lineage": begun})))
        events += worked_on(draw, "f1", begun[-1].upto + 1)
        again = lineage_at("f1", begun, draw(st.integers(1, begun[-1].upto + 1)))
        events.append((session_stream("f2"), opened(9, "f2").model_copy(update={"lineage": again})))
    return events


def interleaved(draw: st.DrawFn, history: list[Placed]) -> list[Placed]:
    """The same events in another order that may also be: each stream's own order stays."""
    queues: dict[str, list[Placed]] = {}
    for placed in history:
        queues.setdefault(placed[0], []).append(placed)
    shuffled: list[Placed] = []
    while queues:
        name = draw(st.sampled_from(sorted(queues)))
        shuffled.append(queues[name].pop(0))
        queues = {name: queue for name, queue in queues.items() if queue}
    return shuffled


@given(st.data())
def test_turns_of_different_sessions_may_be_folded_in_any_order(data: st.DataObject) -> None:
    turns = [worked_on(data.draw, session_id, n) for session_id in ("s1", "s2") for n in (1, 2)]  # type: ignore[arg-type]
    begun = [(session_stream(name), opened(0, name)) for name in ("s1", "s2")]
    history = [placed for placed in (p for turn in turns for p in turn) if not placed[0].startswith("rating")]
    there = folded([event for _, event in [*begun, *history]])
    else_ = folded([event for _, event in [*begun, *interleaved(data.draw, history)]])  # type: ignore[arg-type]
    for n in (1, 2):
        for name in ("s1", "s2"):
            assert there.get(TurnRow, name, n) == else_.get(TurnRow, name, n)


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


def test_a_call_that_was_not_let_go_is_no_use_of_its_tool() -> None:
    refused = resumed().model_copy(update={"refused_tool": "query_costs"})
    row = turn(opened(), started(), stepped(2, 1, query_costs=True, find_talents=True), refused)
    assert row.tools == ["find_talents"]
    row = turn(opened(), started(), stepped(2, 1, query_costs=True), stepped(3, 2, query_costs=True), refused)
    assert row.tools == ["query_costs"]
    row = turn(opened(), started(), stepped(2, 1, find_talents=True), refused)
    assert row.tools == ["find_talents"]

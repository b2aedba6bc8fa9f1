"""The books as they are read: every transition of an attempt, and counters that add up."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
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
from domain.costs.aggregate import Call, CallIntent, end, lose, reserve, stream
from domain.costs.aggregate import load as load_call
from domain.costs.events import EVENTS, CallCut, CallFailed, CallLost, CallReserved, CallSettled
from domain.costs.projection import CallRow, CostsProjection, UsageRow
from domain.events import Cause, Event, EventRegistry, RecordedEvent
from domain.ids import random_id
from domain.ledger import Change, Ledger

AT = datetime(2026, 11, 1, 23, 59, 30, tzinfo=UTC)
REGISTRY = EventRegistry(EVENTS)
DOLLARS = st.decimals("0", "10", places=9)


def reserved(call_id: str = "c1", attempt: int = 1, at: datetime = AT, **fields: Any) -> CallReserved:
    intent = {
        "kind": "chat",
        "model": "some/model",
        "worst_case": Decimal("0.020"),
        "price_version": "2026-11",
        "prompt_tokens_bound": 500,
        "max_tokens": 100,
        "deadline": at + timedelta(minutes=2),
        "agent_id": "ada",
        "session_id": "s1",
        "workflow_id": "chat-s1",
        "key_id": "key_1",
        "project_id": "p1",
    }
    return CallReserved(call_id=call_id, attempt=attempt, **{**intent, **fields}, **cause(at).fields())


def cause(at: datetime = AT + timedelta(minutes=1)) -> Cause:
    return Cause("key_1", "req_1", at, "default")


def settled(call_id: str = "c1", attempt: int = 1, **fields: Any) -> CallSettled:
    known = {
        "model": "some/model-2026",
        "prompt_tokens": 40,
        "completion_tokens": 7,
        "cached_prompt_tokens": 0,
        "estimated": False,
        "cost": Decimal("0.001"),
        "price_version": "2026-12",
        "price_known": True,
        "provider_call_id": "p1",
        "reply_hash": "r",
        "finish": "stop",
        "stands": True,
    }
    return CallSettled(call_id=call_id, attempt=attempt, **{**known, **fields}, **cause().fields())


def cut(call_id: str = "c1", attempt: int = 1, **fields: Any) -> CallCut:
    known = {
        "prompt_tokens": 40,
        "completion_tokens": 3,
        "estimated": True,
        "cost": Decimal("0.0005"),
        "price_version": "2026-12",
        "price_known": False,
        "provider_call_id": None,
        "error": "the stream broke off",
    }
    return CallCut(call_id=call_id, attempt=attempt, **{**known, **fields}, **cause().fields())


def failed(call_id: str = "c1", attempt: int = 1) -> CallFailed:
    return CallFailed(call_id=call_id, attempt=attempt, error="unreachable", **cause().fields())


def lost(call_id: str = "c1", attempt: int = 1) -> CallLost:
    return CallLost(call_id=call_id, attempt=attempt, error="timeout", **cause().fields())


def folded(events: Sequence[Event]) -> RowsInMemory:
    rows, projection = RowsInMemory(), CostsProjection()
    for position, event in enumerate(events, 1):
        projection.project(RecordedEvent(position, "call:c1", position, event), rows)
    return rows


def call(*events: Event) -> CallRow:
    row = folded(events).get(CallRow, "c1", 1)
    assert row is not None
    return row


def usage(*events: Event) -> UsageRow:
    (row,) = folded(events).all(UsageRow)
    assert isinstance(row, UsageRow)
    return row


def test_a_reservation_shows_what_it_is_for_and_what_it_may_cost() -> None:
    row = call(reserved())
    assert (row.state, row.cost, row.worst_case, row.at, row.deadline, row.ended_at) == (
        "reserved",
        Decimal(0),
        Decimal("0.020"),
        AT,
        AT + timedelta(minutes=2),
        None,
    )
    assert (row.agent_id, row.session_id, row.workflow_id, row.key_id, row.project_id) == (
        "ada",
        "s1",
        "chat-s1",
        "key_1",
        "p1",
    )


def test_a_settled_call_shows_tokens_cost_and_the_price_list() -> None:
    row = call(reserved(), settled())
    assert (row.state, row.prompt_tokens, row.completion_tokens, row.total_tokens) == ("settled", 40, 7, 47)
    assert (row.cost, row.price_version, row.price_known, row.estimated) == (Decimal("0.001"), "2026-12", True, False)
    assert (row.provider_call_id, row.error, row.ended_at, row.model) == ("p1", None, cause().at, "some/model")


def test_a_cut_call_shows_what_arrived_and_why_it_broke_off() -> None:
    row = call(reserved(), cut())
    assert (row.state, row.total_tokens, row.cost, row.estimated, row.price_known) == (
        "cut",
        43,
        Decimal("0.0005"),
        True,
        False,
    )
    assert row.error == "the stream broke off"


def test_a_failed_call_cost_nothing() -> None:
    row = call(reserved(), failed())
    assert (row.state, row.cost, row.error, row.ended_at) == ("failed", Decimal(0), "unreachable", cause().at)


def test_a_failed_or_cut_call_shows_what_its_model_refused() -> None:
    refused = failed().model_copy(update={"refused": "tools"})
    assert (call(reserved(), refused).refused, call(reserved(), cut(refused="temperature")).refused) == (
        "tools",
        "temperature",
    )
    assert [call(reserved(), ended).refused for ended in (failed(), cut(), lost(), settled())] == [None] * 4


def test_a_lost_call_keeps_its_worst_case_in_sight() -> None:
    row = call(reserved(), lost())
    assert (row.state, row.cost, row.worst_case, row.error) == ("unknown", Decimal(0), Decimal("0.020"), "timeout")


@pytest.mark.parametrize(
    ("ended", "counted"),
    [
        ([], UsageRow("default", AT.date(), "ada", "some/model", "key_1", reserved=1, open_cost=Decimal("0.020"))),
        (
            [settled()],
            UsageRow(
                "default", AT.date(), "ada", "some/model", "key_1", 1, 40, 7, Decimal("0.001"), open_cost=Decimal(0)
            ),
        ),
        ([cut()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", 1, 40, 3, Decimal("0.0005"))),
        ([failed()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", failed=1)),
        ([lost()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", unknown=1, open_cost=Decimal("0.020"))),
        ([lost(), settled()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", 1, 40, 7, Decimal("0.001"))),
        ([lost(), cut()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", 1, 40, 3, Decimal("0.0005"))),
        ([lost(), failed()], UsageRow("default", AT.date(), "ada", "some/model", "key_1", failed=1)),
    ],
    ids=["open", "settled", "cut", "failed", "lost", "lost, then settled", "lost, then cut", "lost, then failed"],
)
def test_every_way_of_an_attempt_is_counted_as_what_it_is_now(ended: list[Event], counted: UsageRow) -> None:
    assert usage(reserved(), *ended) == counted


def test_attempts_are_booked_apart_and_counted_together() -> None:
    row = usage(reserved(), lost(), reserved(attempt=2), settled(attempt=2), settled(attempt=1, stands=False))
    assert (row.requests, row.prompt_tokens, row.cost, row.unknown) == (2, 80, Decimal("0.002"), 0)


def test_usage_is_of_the_day_of_the_reservation_in_utc() -> None:
    far_east = timezone(timedelta(hours=9))
    rows = folded([reserved(at=AT.astimezone(far_east)), settled()])
    assert [row.day for row in rows.all(UsageRow) if isinstance(row, UsageRow)] == [date(2026, 11, 1)]


def test_an_end_without_a_reservation_cannot_be_booked() -> None:
    with pytest.raises(LookupError, match=r"c1\.1 was never reserved"):
        folded([settled()])


def test_events_of_others_are_passed_over() -> None:
    class Other(Event):
        NAME = "toy.other"

    rows = folded([Other(**cause().fields())])
    assert rows.changed == {}


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Event]]:
    """(call, event) as the rules of a call let them happen, of several calls mixed."""
    calls: dict[str, Call] = {}
    events: list[tuple[str, Event]] = []
    for _ in range(draw(st.integers(1, 25))):
        call_id = draw(st.sampled_from(["c1", "c2", "c3"]))
        known = calls.get(call_id, Call())
        new = draw(decisions(call_id, known))
        calls[call_id] = load_call([*(e for c, e in events if c == call_id), *new])
        events += [(call_id, event) for event in new]
    return events


@st.composite
def decisions(draw: st.DrawFn, call_id: str, known: Call) -> list[Event]:
    attempt = draw(st.integers(1, max(1, len(known.attempts))))
    tokens = {
        "prompt_tokens": draw(st.integers(0, 10_000)),
        "completion_tokens": draw(st.integers(0, 5_000)),
        "cost": draw(DOLLARS),
    }
    match draw(st.sampled_from(["reserve", "settle", "cut", "fail", "lose"])):
        case "reserve":
            fresh = reserved(
                call_id,
                at=AT + timedelta(seconds=draw(st.integers(0, 100))),
                worst_case=draw(DOLLARS),
                model=draw(st.sampled_from(["a", "b"])),
                agent_id=draw(st.sampled_from(["ada", "bob"])),
            )
            values = {name: getattr(fresh, name) for name in CallIntent.__dataclass_fields__ if hasattr(fresh, name)}
            return reserve(known, CallIntent(**values), cause(fresh.at))
        case "settle":
            return end(known, settled(call_id, attempt, **tokens))
        case "cut":
            return end(known, cut(call_id, attempt, **tokens))
        case "fail":
            return end(known, failed(call_id, attempt))
        case _:
            return lose(known, attempt, "timeout", cause())


@given(histories())
def test_usage_adds_up_to_the_calls_whatever_happens(history: list[tuple[str, Event]]) -> None:
    rows = folded([event for _, event in history])
    expected: dict[tuple[object, ...], list[Any]] = defaultdict(lambda: [0, 0, 0, Decimal(0), 0, 0, 0, Decimal(0)])
    for row in rows.all(CallRow):
        assert isinstance(row, CallRow)
        share = expected[row.at.date(), row.agent_id, row.model, row.key_id]
        for n, amount in enumerate(
            [
                row.state in {"settled", "cut"},
                row.prompt_tokens,
                row.completion_tokens,
                row.cost,
                row.state == "reserved",
                row.state == "failed",
                row.state == "unknown",
                row.worst_case if row.state in {"reserved", "unknown"} else Decimal(0),
            ]
        ):
            share[n] += amount
    found = {
        (u.day, u.agent_id, u.model, u.key_id): [
            u.requests,
            u.prompt_tokens,
            u.completion_tokens,
            u.cost,
            u.reserved,
            u.failed,
            u.unknown,
            u.open_cost,
        ]
        for u in rows.all(UsageRow)
        if isinstance(u, UsageRow)
    }
    assert found == dict(expected)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.open()
    yield database
    database.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
@given(histories(), st.integers(1, 5))
def test_live_tables_hold_what_memory_holds(database: Database, history: list[tuple[str, Event]], batches: int) -> None:
    with database.connection() as connection:
        connection.execute("TRUNCATE ledger_events, projection_positions, projection_dead_letters")
        connection.execute("TRUNCATE cost_calls, cost_usage")
    ledger = Ledger(LedgerRecorder(database), REGISTRY)
    for n, (call_id, event) in enumerate(history):
        name = stream(call_id)
        ledger.append(Change(name, len(ledger.read(name)), [event]), key=random_id("k"))
        if n % batches == 0:
            ProjectionRunner(database.dsn, REGISTRY, [CostsProjection()]).catch_up()
    ProjectionRunner(database.dsn, REGISTRY, [CostsProjection()]).catch_up()
    memory = folded([event for _, event in history])
    with psycopg.connect(database.dsn, options="-c TimeZone=UTC") as connection:
        for kind in (CallRow, UsageRow):
            wanted = {tuple(getattr(row, name) for name in kind.KEY): row for row in memory.all(kind)}
            live = {tuple(getattr(row, name) for name in kind.KEY): row for row in load(connection, kind, wanted)}
            assert live == wanted
    rebuilt = Rebuild(database.dsn, REGISTRY, CostsProjection()).run()
    assert all(comparison.equal for comparison in rebuilt.comparisons)
    assert rebuilt.set_aside == 0


def test_a_server_in_another_time_zone_changes_no_day(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("ALTER ROLE CURRENT_USER SET timezone = 'Asia/Tokyo'")
    try:
        ledger = Ledger(LedgerRecorder(database), REGISTRY)
        for n, event in enumerate((reserved(), lost(), settled())):
            ledger.append(Change("call:c1", n, [event]), key=f"k{n}")
            ProjectionRunner(database.dsn, REGISTRY, [CostsProjection()]).catch_up()
        with database.connection() as connection:
            rows = connection.execute("SELECT day, requests, unknown, open_cost FROM cost_usage").fetchall()
        assert rows == [(date(2026, 11, 1), 1, 0, Decimal("0.000"))]
    finally:
        with database.connection() as connection:
            connection.execute("ALTER ROLE CURRENT_USER RESET timezone")

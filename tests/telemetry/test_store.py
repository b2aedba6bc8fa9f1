"""Events and rollups in PostgreSQL: each event is counted once, whatever is merged, repeated or interrupted."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Event as Flag
from threading import Thread
from typing import Any

import psycopg
import pytest

from adapters.postgres.erasures.owners import PostgresErasedOwners
from adapters.postgres.ledger.pool import Database
from adapters.postgres.telemetry.reads import PostgresTelemetryReads
from adapters.postgres.telemetry.store import PostgresTelemetryStore
from adapters.postgres.telemetry.upkeep import PostgresTelemetryUpkeep
from domain.erasures.ports import Owner
from domain.errors import Forbidden, Unavailable
from domain.telemetry import window as windows
from domain.telemetry.event import TelemetryEvent, key_of_id
from domain.telemetry.ports import TelemetryFilter, TelemetrySums
from domain.telemetry.sketch import bucket_of, sketch_of
from domain.telemetry.sums import Distribution, Sums
from domain.tenants.aggregate import name_owner
from tests.telemetry.test_domain import NOW, event

TENANT = "acme"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(database_url)
    found.open()
    yield found
    found.close()


@pytest.fixture
def store(database: Database) -> PostgresTelemetryStore:
    return PostgresTelemetryStore(database)


def named(name: str, at: datetime = NOW, **more: object) -> TelemetryEvent:
    return event(at, key=key_of_id(name), **more)


def sums_of(events: list[TelemetryEvent]) -> Sums:
    """The figures of events, from the events themselves."""
    told = [each.success for each in events if each.success is not None]
    durations = [each.duration_ms for each in events if each.duration_ms is not None]
    tokens = [each.tokens_used for each in events if each.tokens_used is not None]
    return Sums(len(events), sum(told), len(told) - sum(told), distribution(durations), distribution(tokens))


def distribution(values: list[float] | list[int]) -> Distribution:
    return Distribution(len(values), sum(values), max(values), sketch_of(values)) if values else Distribution()


def read(database: Database, span: windows.TimeRange, **more: str) -> TelemetrySums:
    return PostgresTelemetryReads(database).sums(TelemetryFilter(TENANT, span, **more), skip=0, limit=100)


def rows(database: Database, statement: bytes = b"SELECT count(*) FROM telemetry_events") -> int:
    with database.connection() as connection:
        row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def month_of_events() -> list[TelemetryEvent]:
    """Every 97 minutes of 30 days, of two types and three agents."""
    return [
        event(
            NOW - timedelta(minutes=97 * n),
            event_type=("answer", "search")[n % 2],
            agent_id=("", "amy", "omri")[n % 3],
            duration_ms=float(n * 7 % 501) if n % 4 else None,
            tokens_used=n * 13 % 907 if n % 5 else None,
            success=(True, False, None)[n * 3 % 7 % 3],
        )
        for n in range(30 * 24 * 60 // 97)
    ]


def test_an_event_is_recorded_once_however_often_it_is_sent(store: PostgresTelemetryStore, database: Database) -> None:
    sent = [named("a", success=True), named("b"), named("a"), event()]
    assert store.record(TENANT, sent, NOW) == 3, "twice in one request is once"
    assert store.record(TENANT, sent, NOW) == 1, "an event without an id is new each time"
    assert store.record(TENANT, [named("a"), named("c")], NOW) == 1
    assert store.record("zeta", [named("a")], NOW) == 1, "another tenant's ids are its own"
    assert rows(database) == 6
    assert read(database, windows.recent("1h", None, NOW)).totals.events == 5


def test_a_timed_event_is_known_by_its_day_and_another_one_also_by_the_day_before(
    store: PostgresTelemetryStore, database: Database
) -> None:
    tomorrow = NOW + timedelta(days=1)
    assert store.record(TENANT, [named("timed"), named("untimed", is_timed=False)], NOW) == 2
    assert store.record(TENANT, [named("timed"), named("untimed", tomorrow, is_timed=False)], tomorrow) == 0
    assert store.record(TENANT, [named("timed", tomorrow)], tomorrow) == 1
    after = tomorrow + timedelta(days=1)
    assert store.record(TENANT, [named("untimed", after, is_timed=False)], after) == 1
    assert rows(database) == 4


def test_requests_with_the_same_events_at_once_record_each_of_them_once(
    store: PostgresTelemetryStore, database: Database
) -> None:
    sent = [named(str(n), duration_ms=float(n)) for n in range(300)]
    midnight = datetime(2026, 11, 28, 23, 59, 59, 900_000, tzinfo=UTC)
    around = [midnight, midnight + timedelta(milliseconds=200)]
    untimed = [[named(f"u{n}", at, is_timed=False) for n in range(50)] for at in around]
    with ThreadPoolExecutor(8) as threads:
        orders = [sent, sent[::-1], sent[150:] + sent[:150], sent[::2] + sent[1::2]] * 2
        counts = list(threads.map(partial(store.record, TENANT, received=NOW), orders))
        late = list(threads.map(lambda n: store.record(TENANT, untimed[n % 2], around[n % 2]), range(8)))
    assert (sum(counts), sum(late), rows(database)) == (300, 50, 350)
    span = windows.between(NOW, NOW + timedelta(days=1), None, NOW + timedelta(days=1))
    assert read(database, span).totals.events == 350


def test_the_database_finds_the_bucket_of_a_value_as_the_domain_does(database: Database) -> None:
    values = [0.0, 0.001, 0.0011, 0.5, 1.0, 2.0, 1234.0, 1e6, 123456789.5, 1e12]
    with database.connection() as connection:
        found = connection.execute("SELECT telemetry_bucket(v) FROM unnest(%s::float8[]) AS v", (values,)).fetchall()
    assert [bucket for (bucket,) in found] == [bucket_of(value) for value in values]


def test_texts_are_stored_as_they_were_sent(store: PostgresTelemetryStore, database: Database) -> None:
    odd = ['a"b', "a\\b", "{a,b}", "null", "NULL", "ä→😀", " ", "\x7f", "'; --", "%s"]
    store.record(TENANT, [event(event_type=text, agent_id=text, metadata=text) for text in odd], NOW)
    with database.connection() as connection:
        found = connection.execute("SELECT event_type, agent_id, metadata FROM telemetry_events").fetchall()
    assert sorted(found) == sorted((text, text, text) for text in odd)


def test_merging_changes_no_figure(store: PostgresTelemetryStore, database: Database) -> None:
    sent = month_of_events()
    for start in range(0, len(sent), 50):
        store.record(TENANT, sent[start : start + 50], NOW)
    upkeep, span = PostgresTelemetryUpkeep(database), windows.recent("30d", None, NOW)
    before = read(database, span)
    assert before.totals.events == len(sent)
    assert upkeep.merge_rollups(NOW) > 0
    assert upkeep.merge_rollups(NOW) == 0, "all is merged"
    late = [event(NOW - timedelta(days=3), event_type="late", tokens_used=4) for _ in range(3)]
    for each in late:
        store.record(TENANT, [each], NOW)
    assert read(database, span).totals.events == len(sent) + 3
    assert upkeep.merge_rollups(NOW) > 0
    after = read(database, span)
    assert after.totals.events == len(sent) + 3
    assert rows(database, b"SELECT count(*) FROM telemetry_rollups WHERE NOT merged AND at < '2026-11-28 10:00Z'") == 0
    assert [(each.event_type, each.agent_id) for each in after.groups] == sorted(
        {(each.event_type, each.agent_id) for each in [*sent, *late]}
    )
    unfiltered = [each for each in after.groups if each.event_type != "late"]
    assert unfiltered == list(before.groups)


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("window", ["1h", "24h", "7d", "30d"])
def test_the_figures_are_those_of_the_events_of_the_window(
    store: PostgresTelemetryStore, database: Database, window: windows.TelemetryWindow, *, merged: bool
) -> None:
    sent = month_of_events()
    store.record(TENANT, sent, NOW)
    if merged:
        PostgresTelemetryUpkeep(database).merge_rollups(NOW)
    for interval in (None, "1h", "1d"):
        span = windows.recent(window, interval, NOW)  # type: ignore[arg-type]
        inside = [each for each in sent if each.at >= span.start]
        found = read(database, span)
        assert found.totals == sums_of(inside)
        assert {(each.event_type, each.agent_id): each.sums for each in found.groups} == {
            key: sums_of([each for each in inside if (each.event_type, each.agent_id) == key])
            for key in {(each.event_type, each.agent_id) for each in inside}
        }
        points = {point: sums_of([e for e in inside if windows.floor(e.at, span.interval) == point])
                  for point in {windows.floor(e.at, span.interval) for e in inside}}  # fmt: skip
        assert found.series == points
    of_amy = read(database, span, event_type="search", agent_id="amy")
    assert of_amy.totals == sums_of([e for e in inside if (e.event_type, e.agent_id) == ("search", "amy")])


def test_a_request_that_fails_is_neither_recorded_nor_counted(
    store: PostgresTelemetryStore, database: Database
) -> None:
    store.record(TENANT, [named("a")], NOW)
    with database.connection() as connection:
        connection.execute("ALTER TABLE telemetry_rollups ADD CONSTRAINT broken CHECK (events < 2)")
    with pytest.raises(psycopg.errors.CheckViolation):
        store.record(TENANT, [named("b"), named("c")], NOW)
    assert rows(database) == 1
    with database.connection() as connection:
        connection.execute("ALTER TABLE telemetry_rollups DROP CONSTRAINT broken")
    assert store.record(TENANT, [named("b"), named("c")], NOW) == 2


def test_connections_that_die_leave_nothing_half_counted(store: PostgresTelemetryStore, database: Database) -> None:
    stop, known, lost = Flag(), [0], [0]

    def write() -> None:
        while not stop.is_set():
            try:
                known[0] += store.record(TENANT, [event(duration_ms=1.0) for _ in range(200)], NOW)
            except Unavailable:
                lost[0] += 200

    writer = Thread(target=write)
    writer.start()
    for _ in range(15):
        time.sleep(0.1)
        with psycopg.connect(database.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    stop.set()
    writer.join()
    assert lost[0] > 0
    assert known[0] > 0
    there = once_connected(lambda: rows(database))
    assert there % 200 == 0
    assert known[0] <= there <= known[0] + lost[0]
    found = once_connected(lambda: read(database, windows.recent("1h", None, NOW)))
    assert found.totals.events == there


def once_connected(read_it: Callable[[], Any]) -> Any:
    """What it returns, as soon as the pool has no connection left that was killed."""
    for _ in range(50):
        try:
            return read_it()
        except Unavailable:
            time.sleep(0.1)
    return read_it()


def test_readers_count_each_event_once_while_rollups_are_written_and_merged(
    store: PostgresTelemetryStore, database: Database
) -> None:
    stop, upkeep = Flag(), PostgresTelemetryUpkeep(database)
    later, span = NOW + timedelta(hours=5), windows.recent("24h", None, NOW + timedelta(hours=5))

    def merge() -> None:
        while not stop.is_set():
            upkeep.merge_rollups(later)

    merger = Thread(target=merge)
    merger.start()
    try:
        for number in range(1, 61):
            moments = [NOW + timedelta(minutes=each) for each in (0, number % 7, number)]
            store.record(TENANT, [event(at, tokens_used=1) for at in moments], later)
            found = read(database, span)
            assert found.totals.events == found.totals.tokens.total == 3 * number
            assert sum(each.sums.events for each in found.groups) == 3 * number
    finally:
        stop.set()
        merger.join()
    assert rows(database, b"SELECT sum(events) FROM telemetry_rollups WHERE resolution = 1440 AND margin = 0") <= 180


def test_days_past_retention_are_dropped_with_their_figures(store: PostgresTelemetryStore, database: Database) -> None:
    store.record(TENANT, month_of_events(), NOW)
    upkeep = PostgresTelemetryUpkeep(database)
    upkeep.create_partitions(NOW.date(), NOW.date() + timedelta(days=1))
    upkeep.merge_rollups(NOW)
    first = date(2026, 11, 20)
    assert upkeep.drop_before(first) == 22
    assert upkeep.drop_before(first) == 0
    span = windows.recent("30d", None, NOW)
    kept = [each for each in month_of_events() if each.at.date() >= first]
    assert rows(database) == len(kept) == read(database, span).totals.events


def test_an_erased_tenant_has_no_telemetry_and_gets_none(store: PostgresTelemetryStore, database: Database) -> None:
    store.record(TENANT, [named("a")], NOW)
    store.record("zeta", [named("a")], NOW)
    owners = PostgresErasedOwners(database)
    owners.mark("erasure_1", [Owner(name_owner(TENANT), "record")])
    with pytest.raises(Forbidden):
        store.record(TENANT, [named("b")], NOW)
    owners.remove_telemetry(TENANT)
    assert rows(database) == 1
    assert rows(database, b"SELECT count(*) FROM telemetry_rollups") == 1

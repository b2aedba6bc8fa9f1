"""Views that keep up with the ledger, whatever an event or the database does."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import psycopg
import pytest

from adapters.postgres.ledger.pool import Connection, connect
from adapters.postgres.projections import rows as views
from adapters.postgres.projections import runner as projection_runner
from adapters.postgres.projections.runner import ProjectionRunner
from domain.errors import Unavailable
from domain.events import RecordedEvent
from domain.projection import Projection, Rows
from runtime.embedded import PostgresServer, run_server
from tests.ledger.toys import (
    AT,
    CAUSE,
    REGISTRY,
    Counted,
    CounterRow,
    Emptied,
    Foreseen,
    Platform,
    Spoiled,
    ToyProjection,
    platform_on,
)

_LEASEHOLDERS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"


def runner(dsn: str, *projections: Projection) -> ProjectionRunner:
    return ProjectionRunner(dsn, REGISTRY, projections or (ToyProjection(),))


@contextmanager
def following(runner: ProjectionRunner) -> Iterator[None]:
    """The runner at work in a thread."""
    stop, failures = Flag(), []

    def run() -> None:
        try:
            runner.run(stop)
        except BaseException as error:  # noqa: BLE001  (told to the test)
            failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert failures == []


def eventually(check: Callable[[], object], within_s: float = 8.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def leaseholders(platform: Platform) -> list[int]:
    database = "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    return [row[0] for row in platform.rows(f"{_LEASEHOLDERS} {database}")]


def test_an_event_becomes_a_row(platform: Platform) -> None:
    platform.count("a", 3, color="red")
    platform.count("a", size=2)
    runner(platform.dsn).catch_up()
    (row,) = platform.rows("SELECT * FROM toy_counters")
    names = ["n2, 'quoted\\'", "n3, 'quoted\\'", "n4, 'quoted\\'"]
    note = {"color": "red", "size": 2}
    assert row == ("a", 4, Decimal("1.00"), 4 / 3, True, names, note, AT.date(), AT, None)
    assert platform.rows("SELECT total FROM toy_marks ORDER BY 1") == [(1,), (2,), (3,), (4,)]
    assert platform.positions() == {"toys": 4}


def test_rows_that_are_dropped_are_gone_and_may_come_again(platform: Platform) -> None:
    platform.count("a", 2)
    runner(platform.dsn).catch_up()
    platform.append("a", Emptied(counter="a", **CAUSE))
    runner(platform.dsn).catch_up()
    assert platform.totals() == {}
    assert platform.rows("SELECT * FROM toy_marks") == []
    platform.append("a", Emptied(counter="a", **CAUSE), Counted(counter="a", step=5, **CAUSE))
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"a": 5}


def test_an_event_is_seen_soon_after_it_was_appended(platform: Platform) -> None:
    with following(runner(platform.dsn)):
        eventually(lambda: platform.positions() == {"toys": 0})
        waits = []
        for n in range(1, 21):
            time.sleep(0.06)
            started = time.monotonic()
            platform.count("a")
            eventually(lambda n=n: platform.totals().get("a") == n)
            waits.append(time.monotonic() - started)
        assert sorted(waits)[10] < 0.5, "woken by the notice, not by the clock"


def test_many_events_go_into_one_transaction(platform: Platform) -> None:
    platform.count("a", 1_200)
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"a": 1_200}
    assert platform.rows("SELECT count(DISTINCT xmin::text) FROM toy_marks") == [(3,)]


def test_a_row_and_its_position_commit_together(platform: Platform) -> None:
    """While a batch is written, nobody sees one without the other; if it fails, neither is there."""
    platform.count("a")
    runner(platform.dsn).catch_up()
    (same,) = platform.rows("SELECT p.xmin = c.xmin FROM projection_positions AS p, toy_counters AS c")
    assert same == (True,)
    platform.do("""
        CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN RAISE 'the disk is full' USING ERRCODE = 'disk_full'; END$$;
        CREATE TRIGGER break BEFORE UPDATE ON projection_positions FOR EACH ROW EXECUTE FUNCTION break();
    """)
    platform.count("a")
    with pytest.raises(psycopg.errors.DiskFull):
        runner(platform.dsn).catch_up()
    assert (platform.totals(), platform.positions()) == ({"a": 1}, {"toys": 1})
    platform.do("DROP TRIGGER break ON projection_positions")
    runner(platform.dsn).catch_up()
    assert (platform.totals(), platform.positions()) == ({"a": 2}, {"toys": 2})


def test_one_of_two_runners_works_and_the_other_takes_over_when_its_connection_dies(platform: Platform) -> None:
    with following(runner(platform.dsn)):
        eventually(lambda: len(leaseholders(platform)) == 1)
        (first,) = leaseholders(platform)
        with following(runner(platform.dsn)):
            platform.count("a")
            eventually(lambda: platform.totals() == {"a": 1})
            assert leaseholders(platform) == [first]
            platform.rows("SELECT pg_terminate_backend(%s)", first)
            platform.count("a")
            eventually(lambda: platform.totals() == {"a": 2})
            assert leaseholders(platform) != [first]


def test_a_second_runner_cannot_catch_up_meanwhile(platform: Platform) -> None:
    with following(runner(platform.dsn)):
        eventually(lambda: leaseholders(platform))
        with pytest.raises(Unavailable, match="lease"):
            runner(platform.dsn).catch_up()


def test_an_event_that_a_view_cannot_take_is_set_aside_with_what_follows_it_in_its_stream(platform: Platform) -> None:
    platform.count("good")
    platform.count("bad")
    spoiled = platform.append("bad", Spoiled(counter="bad", **CAUSE))
    platform.count("good")
    platform.count("bad", 2)
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"good": 2, "bad": 1}
    assert platform.dead() == [("toys", at, "bad") for at in (spoiled, spoiled + 2, spoiled + 3)]
    errors = [row[0] for row in platform.rows("SELECT error FROM projection_dead_letters ORDER BY position")]
    assert errors == ["ValueError('spoiled')", *["an earlier event of this stream was set aside"] * 2]


def test_what_follows_later_is_set_aside_too_also_by_another_runner(platform: Platform) -> None:
    platform.append("bad", Spoiled(counter="bad", **CAUSE))
    runner(platform.dsn).catch_up()
    platform.count("bad")
    platform.count("good")
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"good": 1}
    assert [position for _, position, _ in platform.dead()] == [1, 2]


def test_a_value_that_does_not_fit_its_column_is_set_aside(platform: Platform) -> None:
    too_many = platform.append("a", Counted(counter="a", step=2**40, **CAUSE))
    refused = platform.append("b", Counted(counter="b", step=1_000_000, **CAUSE))
    platform.count("c")
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"c": 1}
    assert platform.dead() == [("toys", too_many, "a"), ("toys", refused, "b")]


def test_one_projections_trouble_is_not_anothers(platform: Platform) -> None:
    class Other(ToyProjection):
        kinds = ()

        def project(self, recorded: RecordedEvent, rows: Rows) -> None:
            """Take everything."""

    platform.append("bad", Spoiled(counter="bad", **CAUSE))
    platform.count("good")
    runner(platform.dsn, ToyProjection(), Other("others")).catch_up()
    assert platform.dead() == [("toys", 1, "bad")]
    assert platform.positions() == {"toys": 2, "others": 2}


def test_an_event_of_a_later_release_is_set_aside(platform: Platform) -> None:
    foreseen = platform.append("a", Foreseen(counter="a", **CAUSE))
    platform.count("b")
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"b": 1}
    assert platform.dead() == [("toys", foreseen, "a")]


def test_a_table_that_is_missing_sets_nothing_aside(platform: Platform) -> None:
    """The event is good; what is wrong passes when the migration has run."""
    platform.count("a")
    platform.do("ALTER TABLE toy_counters RENAME TO elsewhere")
    with pytest.raises(psycopg.errors.UndefinedTable):
        runner(platform.dsn).catch_up()
    assert (platform.dead(), platform.positions()) == ([], {"toys": 0})
    with following(runner(platform.dsn)):
        time.sleep(0.3)
        platform.do("ALTER TABLE elsewhere RENAME TO toy_counters")
        eventually(lambda: platform.totals() == {"a": 1})
    assert platform.dead() == []


@pytest.mark.parametrize("error", [OSError("no file"), MemoryError(), Unavailable("not now")])
def test_trouble_around_an_event_sets_nothing_aside(platform: Platform, error: Exception) -> None:
    class Troubled(ToyProjection):
        def project(self, recorded: RecordedEvent, rows: Rows) -> None:
            raise error

    platform.count("a")
    with pytest.raises(type(error)):
        runner(platform.dsn, Troubled()).catch_up()
    assert platform.dead() == []


def test_a_runner_outlives_its_database(private_server: PostgresServer, tmp_path: Path) -> None:
    from adapters.postgres.migrate import migrate  # noqa: PLC0415  (the fixture's databases come migrated)

    with run_server(private_server, tmp_path / "log"):
        migrate(private_server.url)
        with platform_on(private_server.url) as platform:
            platform.count("a")
            runner(platform.dsn).catch_up()
    with following(runner(private_server.url)):
        time.sleep(0.2)
        for total in (2, 3):
            with run_server(private_server, tmp_path / "log"):
                platform = Platform(private_server.url)
                platform.count("a")
                eventually(lambda t=total, p=platform: p.totals() == {"a": t}, within_s=15)
                platform.database.close()


def test_a_new_projection_begins_at_zero_and_does_not_hold_up_the_others(platform: Platform) -> None:
    platform.count("old", 3_000)
    runner(platform.dsn).catch_up()
    platform.do("""
        CREATE TABLE slow_log (n bigserial, projection text, position bigint);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO slow_log (projection, position) VALUES (NEW.projection, NEW.position); RETURN NEW; END$$;
        CREATE TRIGGER note AFTER UPDATE ON projection_positions FOR EACH ROW EXECUTE FUNCTION note();
    """)
    head = platform.count("new")

    class Fresh(ToyProjection):
        kinds = ()

        def project(self, recorded: RecordedEvent, rows: Rows) -> None:
            """Take everything."""

    runner(platform.dsn, ToyProjection(), Fresh("fresh")).catch_up()
    assert platform.positions() == {"toys": head, "fresh": head}
    moves = platform.rows("SELECT projection, position FROM slow_log ORDER BY n")
    assert ("toys", head) in moves[:2], "the one that keeps up goes on while the other catches up"
    assert [position for name, position in moves if name == "fresh"] == [500, 1000, 1500, 2000, 2500, 3000, head]


def test_projections_of_the_same_tables_positions_move_in_one_batch(platform: Platform) -> None:
    class Counter(ToyProjection):
        kinds = ()

    platform.count("a", 3)
    runner(platform.dsn, ToyProjection(), Counter("b"), Counter("c")).catch_up()
    assert platform.positions() == {"toys": 3, "b": 3, "c": 3}


def test_a_runner_rests_after_its_work(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is kept busy with single events works for a fifth of the time at most."""
    worked: list[float] = []
    step = ProjectionRunner.step

    def timed(self: ProjectionRunner, connection: projection_runner.Connection) -> int:
        started = time.monotonic()
        try:
            return step(self, connection)
        finally:
            worked.append(time.monotonic() - started)

    monkeypatch.setattr(ProjectionRunner, "step", timed)
    with following(runner(platform.dsn)):
        eventually(platform.positions)
        worked.clear()
        started = time.monotonic()
        while time.monotonic() - started < 1.0:
            platform.count("a")
        lasted = time.monotonic() - started
        busy, steps = sum(worked), len(worked)
    total = len(platform.ledger.read("a"))
    assert busy / lasted < 0.35
    assert steps < total, "what came meanwhile goes into one batch"


def test_a_runner_with_nothing_to_do_asks_once_a_second(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[float] = []
    step = ProjectionRunner.step

    def counted(self: ProjectionRunner, connection: projection_runner.Connection) -> int:
        steps.append(time.monotonic())
        return step(self, connection)

    with following(runner(platform.dsn)):
        eventually(platform.positions)
        platform.count("a", 20)
        eventually(lambda: platform.totals() == {"a": 20})
        time.sleep(0.3)
        monkeypatch.setattr(ProjectionRunner, "step", counted)
        time.sleep(1.5)
    assert len(steps) <= 3


def test_a_runner_stops_soon(platform: Platform) -> None:
    with following(runner(platform.dsn)):
        eventually(platform.positions)
        started = time.monotonic()
    assert time.monotonic() - started < 2


def test_hints_load_rows_together(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        platform.count(f"c{n}")
    loads: list[int] = []
    load = projection_runner.LiveRows.prefetch

    def counted(self: projection_runner.LiveRows, touched: Sequence[tuple[type, tuple[object, ...]]]) -> None:
        asked = list(touched)
        loads.append(len(asked))
        load(self, asked)

    monkeypatch.setattr(projection_runner.LiveRows, "prefetch", counted)
    runner(platform.dsn).catch_up()
    assert loads[0] == 20


def test_rows_asked_for_together_are_loaded_together(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        platform.count(name)
    runner(platform.dsn).catch_up()
    loads: list[list[tuple[object, ...]]] = []
    load = views.load

    def counted(connection: Connection, kind: type[CounterRow], keys: Iterable[tuple[object, ...]]) -> list[CounterRow]:
        wanted = sorted(keys, key=str)
        loads.append(wanted)
        return load(connection, kind, wanted)

    monkeypatch.setattr(views, "load", counted)
    with connect(platform.dsn) as connection:
        found = views.LiveRows(connection).several(CounterRow, [("a",), ("none",), ("b",)])
    assert [row.counter for row in found] == ["a", "b"]
    assert loads == [[("a",), ("b",), ("none",)]]


def test_appends_send_notices_only_while_they_are_wanted(platform: Platform) -> None:
    """A runner that rests looks at the ledger afterwards, and need not be woken."""
    with connect(platform.dsn) as connection:
        connection.execute("LISTEN ledger")
        heard = []
        for wanted in (1, 0, 1):
            connection.execute("SELECT setval('ledger_notices', %s)", (wanted,))
            platform.count("a")
            heard.append(len(list(connection.notifies(timeout=0.2, stop_after=1))))
    assert heard == [1, 0, 1]


def test_a_runner_that_takes_over_from_one_that_died_resting_is_told_of_appends(platform: Platform) -> None:
    platform.do("SELECT setval('ledger_notices', 0)")
    with following(runner(platform.dsn)):
        eventually(lambda: platform.rows("SELECT last_value FROM ledger_notices") == [(1,)])

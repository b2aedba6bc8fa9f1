"""Views built anew beside the live ones, while all goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Event as Flag
from threading import Thread

import psycopg
import pytest

from adapters.postgres.projections import rebuild, shadow_tables
from adapters.postgres.projections.rebuild import Rebuild, RebuildReport
from adapters.postgres.projections.runner import ProjectionRunner
from domain.errors import Conflict, Unavailable
from tests.ledger.test_projection_runner import eventually, following, runner
from tests.ledger.toys import CAUSE, REGISTRY, Counted, Emptied, Platform, Spoiled, ToyProjection

INDEXES = """
    SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'toy_%%' ORDER BY 1, 2
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid::regclass::text LIKE 'toy_%%' ORDER BY 1, 2
"""


def rebuilt(platform: Platform, projection: ToyProjection | None = None) -> RebuildReport:
    return Rebuild(platform.dsn, REGISTRY, projection or ToyProjection()).run()


@contextmanager
def writing(platform: Platform) -> Iterator[None]:
    """Somebody who never stops counting."""
    stop = Flag()

    def write() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            platform.count(f"c{n % 17}", 1 + n % 3, n=n)
            if n % 29 == 0:
                platform.append("c5", Emptied(counter="c5", **CAUSE))

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def contents(platform: Platform) -> list[list[tuple[object, ...]]]:
    return [platform.rows(f"SELECT * FROM {t} ORDER BY 1, 2") for t in ("toy_counters", "toy_marks")]  # noqa: S608  (ours)


def test_a_rebuilt_view_is_byte_equal_to_the_live_one_while_all_goes_on(platform: Platform) -> None:
    for n in range(40):
        platform.count(f"c{n % 17}", 50, n=n)
    with following(runner(platform.dsn)), writing(platform):
        eventually(lambda: platform.positions().get("toys", 0) > 500)
        for _ in range(3):
            done = rebuilt(platform)
            assert [comparison.table for comparison in done.comparisons] == ["toy_counters", "toy_marks"]
            assert all(comparison.equal for comparison in done.comparisons)
            assert done.comparisons[0].live[0] >= 16
            assert done.events > 1_000
            assert done.set_aside == 0
    head = platform.ledger.head()
    runner(platform.dsn).catch_up()
    assert platform.positions() == {"toys": head}
    before = contents(platform)
    assert all(comparison.equal for comparison in rebuilt(platform).comparisons)
    assert contents(platform) == before


def test_readers_and_the_runner_work_on_through_swaps(platform: Platform) -> None:
    """Also with statements that were prepared on the tables before."""
    platform.count("a", 10)
    runner(platform.dsn).catch_up()
    failures: list[BaseException] = []
    stop, reads = Flag(), []

    def read() -> None:
        try:
            with psycopg.connect(platform.dsn, autocommit=True, prepare_threshold=0) as connection:
                while not stop.is_set():
                    reads.append(connection.execute("SELECT total FROM toy_counters WHERE counter = 'a'").fetchone())
        except BaseException as error:  # noqa: BLE001  (told to the test)
            failures.append(error)

    reader = Thread(target=read)
    reader.start()
    with following(runner(platform.dsn)):
        for n in range(5):
            platform.count("a")
            rebuilt(platform)
            eventually(lambda n=n: platform.totals() == {"a": 11 + n})
    stop.set()
    reader.join()
    assert failures == []
    totals = [row[0] for row in reads if row is not None]
    assert len(totals) == len(reads), "the table was never empty"
    assert totals == sorted(totals)


def test_what_was_set_aside_is_tried_again(platform: Platform) -> None:
    platform.count("a")
    platform.append("a", Spoiled(counter="a", **CAUSE))
    platform.count("a")
    with following(runner(platform.dsn, ToyProjection(strict=False))):
        eventually(lambda: platform.positions() == {"toys": 3})
        assert platform.dead() == []
    platform.do("UPDATE projection_positions SET position = 0; TRUNCATE toy_counters, toy_marks")
    runner(platform.dsn).catch_up()
    assert len(platform.dead()) == 2
    with following(runner(platform.dsn, ToyProjection(strict=False))):
        platform.count("b")
        eventually(lambda: platform.totals().get("b") == 1)
        done = rebuilt(platform, ToyProjection(strict=False))
        assert [comparison.equal for comparison in done.comparisons] == [False, False]
        assert platform.dead() == []
        assert platform.totals() == {"a": 2, "b": 1}
        platform.count("a")
        eventually(lambda: platform.totals() == {"a": 3, "b": 1})


def test_what_a_changed_projection_cannot_take_is_set_aside_from_then_on(platform: Platform) -> None:
    platform.count("a")
    platform.append("a", Spoiled(counter="a", **CAUSE))
    platform.count("a")
    with following(runner(platform.dsn, ToyProjection(strict=False))):
        eventually(lambda: platform.totals() == {"a": 2})
        done = rebuilt(platform)
        assert (done.set_aside, platform.totals()) == (2, {"a": 1})
        platform.count("a")
        platform.count("b")
        eventually(lambda: platform.totals() == {"a": 1, "b": 1})
        assert [position for _, position, _ in platform.dead()] == [2, 3, 4]


def test_a_projection_that_changed_is_rebuilt_as_it_is_now(platform: Platform) -> None:
    platform.count("a", 4)
    runner(platform.dsn).catch_up()
    done = rebuilt(platform, ToyProjection(factor=10))
    assert [comparison.equal for comparison in done.comparisons] == [False, False]
    assert platform.totals() == {"a": 40}
    assert platform.rows("SELECT total FROM toy_marks ORDER BY 1") == [(10,), (20,), (30,), (40,)]


def test_tables_keep_their_indexes_and_their_names(platform: Platform) -> None:
    platform.count("a", 4)
    runner(platform.dsn).catch_up()
    indexes, constraints = platform.rows(INDEXES), platform.rows(CONSTRAINTS)
    assert len(indexes) == 4
    for _ in range(2):
        assert all(comparison.equal for comparison in rebuilt(platform).comparisons)
        assert platform.rows(INDEXES) == indexes
        assert platform.rows(CONSTRAINTS) == constraints
    with pytest.raises(psycopg.errors.CheckViolation):
        platform.do("UPDATE toy_counters SET total = 1000000")


@pytest.mark.parametrize("at", ["copy_in", "digest"])
def test_a_rebuild_that_dies_leaves_the_live_view_and_can_be_repeated(
    platform: Platform, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.count("a", 4)
    runner(platform.dsn).catch_up()
    before = contents(platform)

    def die(connection: psycopg.Connection[object], *_: object) -> None:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patch:
        patch.setattr(rebuild, at, die)
        with pytest.raises(Unavailable):
            rebuilt(platform)
    assert contents(platform) == before
    platform.count("b")
    with following(runner(platform.dsn)):
        eventually(lambda: platform.totals() == {"a": 4, "b": 1})
        assert all(comparison.equal for comparison in rebuilt(platform).comparisons)


def test_a_rebuild_that_dies_in_the_swap_leaves_everything_as_it_was(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.count("a", 4)
    platform.append("a", Spoiled(counter="a", **CAUSE))
    runner(platform.dsn).catch_up()
    before, dead, position = contents(platform), platform.dead(), platform.positions()
    take_over = shadow_tables.swap_in

    def die_on_the_second(connection: psycopg.Connection[object], table: str) -> None:
        if table == "toy_marks":
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        take_over(connection, table)

    with monkeypatch.context() as patch:
        patch.setattr(shadow_tables, "swap_in", die_on_the_second)
        with pytest.raises(Unavailable):
            rebuilt(platform)
    assert (contents(platform), platform.dead(), platform.positions()) == (before, dead, position)
    assert all(comparison.equal for comparison in rebuilt(platform).comparisons)


def test_a_long_read_delays_the_swap_and_not_the_other_readers(platform: Platform) -> None:
    platform.count("a", 4)
    runner(platform.dsn).catch_up()
    with psycopg.connect(platform.dsn) as slow:
        slow.execute("SELECT * FROM toy_counters")
        swap = Thread(target=rebuilt, args=(platform,))
        swap.start()
        try:
            for _ in range(3):
                with psycopg.connect(platform.dsn, options="-c statement_timeout=4s") as quick:
                    assert quick.execute("SELECT total FROM toy_counters").fetchall() == [(4,)]
        finally:
            slow.rollback()
            swap.join()
    assert platform.rows("SELECT to_regclass('toy_counters__rebuild')") == [(None,)]


def test_the_same_projection_is_rebuilt_by_one_at_a_time(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.count("a")
    runner(platform.dsn).catch_up()
    refused = []

    def meanwhile(*_: object) -> None:
        with pytest.raises(Conflict, match="being rebuilt"):
            rebuilt(platform)
        refused.append(1)

    monkeypatch.setattr(rebuild, "copy_in", meanwhile)
    rebuilt(platform)
    assert refused == [1, 1]


def spoil_with_a_number(platform: Platform) -> None:
    """The column's type cannot hold it."""
    platform.append("a", Counted(counter="a", step=2**40, **CAUSE))


def spoil_with_a_sum(platform: Platform) -> None:
    """A check of the table forbids what several events add up to."""
    platform.append("a", Counted(counter="a", step=999_000, **CAUSE))
    platform.append("a", Counted(counter="a", step=999_000, **CAUSE))


def spoil_with_a_key(platform: Platform) -> None:
    """It is longer than an index takes."""
    endless = "".join(sha256(bytes([n])).hexdigest() for n in range(160))
    platform.append("long", Counted(counter=endless, **CAUSE))


def spoil_with_a_row_of_others(platform: Platform) -> None:
    """The row is one that another stream filled, and fills on."""
    platform.append("b", Counted(counter="a", step=2**40, **CAUSE))


@pytest.mark.parametrize("spoil", [spoil_with_a_number, spoil_with_a_sum, spoil_with_a_key, spoil_with_a_row_of_others])
def test_a_rebuild_sets_aside_what_the_runner_did_and_is_byte_equal(
    platform: Platform, spoil: Callable[[Platform], None]
) -> None:
    platform.count("a", 2)
    spoil(platform)
    platform.count("a", 3)
    platform.append("b", Counted(counter="b", **CAUSE))
    runner(platform.dsn).catch_up()
    before, dead = contents(platform), platform.dead()
    assert dead
    for _ in range(2):
        done = rebuilt(platform)
        assert all(comparison.equal for comparison in done.comparisons)
        assert (done.set_aside, done.events) == (len(dead), platform.ledger.head())
        assert (contents(platform), platform.dead()) == (before, dead)


def test_what_does_not_fit_may_come_while_a_rebuild_is_on(platform: Platform) -> None:
    platform.count("a", 2)
    with following(runner(platform.dsn)), writing(platform):
        eventually(lambda: platform.positions().get("toys", 0) > 100)
        spoil_with_a_number(platform)
        for _ in range(2):
            assert all(comparison.equal for comparison in rebuilt(platform).comparisons)
    runner(platform.dsn).catch_up()
    before, dead = contents(platform), platform.dead()
    rebuilt(platform)
    assert (contents(platform), platform.dead()) == (before, dead)


def test_a_long_read_delays_the_swap_of_what_is_folded_in_the_tables(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was folded in the transaction that gave way is folded again."""
    platform.count("a", 2)
    spoil_with_a_number(platform)
    runner(platform.dsn).catch_up()
    take_over, refused = shadow_tables.swap_in, [True]

    def give_way_once(connection: psycopg.Connection[object], table: str) -> None:
        if refused:
            refused.clear()
            platform.count("c", 2)
            raise psycopg.errors.LockNotAvailable
        take_over(connection, table)

    monkeypatch.setattr(shadow_tables, "swap_in", give_way_once)
    rebuilt(platform)
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"a": 2, "c": 2}


def test_an_empty_ledger_is_rebuilt_to_empty_tables(platform: Platform) -> None:
    done = rebuilt(platform)
    assert (done.events, done.position, [c.live[0] for c in done.comparisons]) == (0, 0, [0, 0])
    assert all(comparison.equal for comparison in done.comparisons)


def test_a_rebuild_behind_a_stopped_runner_stays_at_its_position(platform: Platform) -> None:
    platform.count("a", 2)
    runner(platform.dsn).catch_up()
    platform.count("a", 3)
    assert rebuilt(platform).position == 2
    runner(platform.dsn).catch_up()
    assert platform.totals() == {"a": 5}


def test_a_rebuild_can_only_compare(platform: Platform) -> None:
    platform.count("a", 2)
    runner(platform.dsn).catch_up()
    platform.do("UPDATE toy_counters SET total = 7")
    done = Rebuild(platform.dsn, REGISTRY, ToyProjection()).run(swap=False)
    assert [comparison.equal for comparison in done.comparisons] == [False, True]
    assert platform.totals() == {"a": 7}
    assert platform.rows("SELECT to_regclass('toy_counters__rebuild')") == [(None,)]


def test_comparing_can_be_left_out(platform: Platform) -> None:
    platform.count("a", 2)
    runner(platform.dsn).catch_up()
    assert Rebuild(platform.dsn, REGISTRY, ToyProjection()).run(compare=False).comparisons == ()
    assert platform.totals() == {"a": 2}


def test_notes_with_odd_numbers_are_the_same_live_and_rebuilt(platform: Platform) -> None:
    for number in (1e22, 10**30, 1.0, 1e-7, -0.0, 0.1 + 0.2, 2**63):
        platform.count("a", number=number, kept={str(number): [number]}, **{f"n{number}": number})
        ProjectionRunner(platform.dsn, REGISTRY, [ToyProjection()]).catch_up()
    assert all(comparison.equal for comparison in rebuilt(platform).comparisons)
    assert platform.dead() == []


def test_a_rebuild_may_follow_another_at_once(platform: Platform) -> None:
    platform.count("a", 2)
    runner(platform.dsn).catch_up()
    for _ in range(30):
        assert all(comparison.equal for comparison in rebuilt(platform).comparisons)

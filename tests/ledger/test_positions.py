"""Reading what one has written: waits for projections, and what health says of them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.positions import LivePositions
from domain.errors import Unavailable
from domain.health.ports import ProjectionHealth
from tests.ledger.test_projection_runner import eventually, following, runner
from tests.ledger.toys import CAUSE, Platform, Spoiled


@contextmanager
def listening(platform: Platform) -> Iterator[LivePositions]:
    positions = LivePositions(platform.dsn, platform.database)
    positions.start()
    try:
        yield positions
    finally:
        positions.close()


def move(platform: Platform, position: int) -> None:
    platform.do(f"""
        INSERT INTO projection_positions (projection, position) VALUES ('toys', {position})
        ON CONFLICT (projection) DO UPDATE SET position = excluded.position;
        SELECT pg_notify('projected', '{{"toys": {position}}}');
    """)  # noqa: S608  (a number of ours)


def listeners(platform: Platform) -> list[int]:
    return [
        row[0]
        for row in platform.rows(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE %s",
            "SELECT projection, position FROM projection_positions",
        )
    ]


async def test_what_was_written_before_is_seen_after_the_wait(platform: Platform) -> None:
    with following(runner(platform.dsn)), listening(platform) as positions:
        for n in range(1, 31):
            await asyncio.to_thread(platform.count, "a")
            assert await positions.wait("toys")
            assert platform.totals() == {"a": n}


async def test_nobody_waits_for_what_is_there(platform: Platform) -> None:
    with listening(platform) as positions:
        assert await positions.wait("toys"), "nothing was recorded"
        move(platform, platform.count("a"))
        assert await positions.wait("toys")


async def test_a_projection_that_does_not_come_is_stale_after_a_second(platform: Platform) -> None:
    platform.count("a")
    with listening(platform) as positions:
        started = time.monotonic()
        assert not await positions.wait("toys")
        assert 0.9 < time.monotonic() - started < 1.4


async def test_a_notice_wakes_whoever_waits_and_nobody_too_early(platform: Platform) -> None:
    head = platform.count("a", 3)
    with listening(platform) as positions:
        eventually(lambda: listeners(platform))
        waiting = [asyncio.create_task(positions.wait("toys")) for _ in range(5)]
        other = asyncio.create_task(positions.wait("others"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(move, platform, head - 1)
        await asyncio.sleep(0.1)
        assert not any(task.done() for task in waiting)
        moved = time.monotonic()
        await asyncio.to_thread(move, platform, head)
        assert await asyncio.gather(*waiting) == [True] * 5
        assert time.monotonic() - moved < 0.5
        assert not await other


async def test_a_wait_is_for_what_was_recorded_when_it_began(platform: Platform) -> None:
    head = platform.count("a")
    with listening(platform) as positions:
        eventually(lambda: listeners(platform))
        waiting = asyncio.create_task(positions.wait("toys"))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(platform.count, "a")
        await asyncio.to_thread(move, platform, head)
        assert await waiting


async def test_a_runner_that_rests_is_woken_for_whoever_waits(platform: Platform) -> None:
    """Events of a busy ledger gather, but not while somebody wants to see them."""
    with following(runner(platform.dsn)), listening(platform) as positions:
        eventually(platform.positions)
        waits = []
        for _ in range(30):
            await asyncio.to_thread(platform.count, "a")  # the runner begins to work, and then to rest
            await asyncio.sleep(0.02)
            await asyncio.to_thread(platform.count, "a")
            started = time.monotonic()
            assert await positions.wait("toys")
            waits.append(time.monotonic() - started)
    assert sorted(waits)[15] < 0.05


async def test_a_lost_connection_is_opened_again(platform: Platform) -> None:
    with following(runner(platform.dsn)), listening(platform) as positions:
        eventually(lambda: listeners(platform))
        (lost,) = listeners(platform)
        platform.rows("SELECT pg_terminate_backend(%s)", lost)
        eventually(lambda: listeners(platform) not in ([], [lost]))
        await asyncio.to_thread(platform.count, "a")
        assert await positions.wait("toys")


async def test_a_notice_that_came_while_nobody_listened_is_made_up_for(platform: Platform) -> None:
    head = platform.count("a")
    with listening(platform) as positions:
        eventually(lambda: listeners(platform))
        waiting = asyncio.create_task(positions.wait("toys"))
        await asyncio.sleep(0.05)
        (lost,) = listeners(platform)
        platform.do(f"SELECT pg_terminate_backend({lost})")
        platform.do(f"INSERT INTO projection_positions (projection, position) VALUES ('toys', {head})")  # noqa: S608  (a number of ours)
        assert await waiting


async def test_waits_go_on_without_a_single_notice_when_the_view_is_up_to_date(platform: Platform) -> None:
    positions = LivePositions(platform.dsn, platform.database)
    assert await positions.wait("toys")
    positions.close()


async def test_a_database_that_is_away_is_not_a_stale_view(platform: Platform) -> None:
    away = Database("postgresql://u:p@127.0.0.1:1/d")
    away.open()
    positions = LivePositions(away.dsn, away)
    positions.start()
    try:
        with pytest.raises(Unavailable):
            await positions.wait("toys")
        with pytest.raises(Unavailable):
            await positions.states()
    finally:
        positions.close()


async def test_health_hears_of_lag_and_of_what_was_set_aside(platform: Platform) -> None:
    platform.count("a", 2)
    platform.append("b", Spoiled(counter="b", **CAUSE))
    runner(platform.dsn).catch_up()
    platform.count("a", 5)
    platform.do("INSERT INTO projection_positions (projection) VALUES ('others')")
    with listening(platform) as positions:
        assert list(await positions.states()) == [ProjectionHealth("others", 8, 0), ProjectionHealth("toys", 5, 1)]


async def test_closing_takes_no_time(platform: Platform) -> None:
    with listening(platform):
        eventually(lambda: listeners(platform))
        started = time.monotonic()
    assert time.monotonic() - started < 0.5


async def test_waits_of_many_loops_are_kept_apart(platform: Platform) -> None:
    """Each process has one, but tests and tools may have more."""
    head = platform.count("a")
    answers: list[bool] = []
    with listening(platform) as positions:
        threads = [Thread(target=lambda: answers.append(asyncio.run(positions.wait("toys")))) for _ in range(3)]
        for thread in threads:
            thread.start()
        Flag().wait(0.2)
        await asyncio.to_thread(move, platform, head)
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert answers == [True] * 3

"""Appends that come at once."""

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from adapters.postgres.ledger import group_commit
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from domain.content import Content
from domain.errors import Unavailable, VersionConflict
from domain.ledger import Change, Ledger, PendingAppend
from tests.ledger.toys import CAUSE, REGISTRY, Counted, Platform

LOCK = "SELECT pg_advisory_lock(7152348)"
"""What every append takes: who holds it keeps everybody from writing."""


def counted(counter: str, step: int = 1) -> Counted:
    return Counted(counter=counter, step=step, **CAUSE)


class Line:
    """Appends in the order in which they are asked for, each in a thread of its own, while somebody holds the lock."""

    def __init__(self, platform: Platform, pool: ThreadPoolExecutor) -> None:
        self._platform = platform
        self._pool = pool

    def append(
        self, stream: str, expected: int, *, key: str = "", after: PendingAppend | None = None
    ) -> tuple[Future[Any], PendingAppend]:
        placed: Future[None] = Future()
        underway = PendingAppend(after, lambda: placed.set_result(None))
        change = Change(stream, expected, [counted(stream, expected + 1)])
        key = key or f"{stream}:{expected}:{random.random()}"  # noqa: S311  (no secret)
        texts = [Content(stream, f"text {expected}")]
        done = self._pool.submit(self._platform.ledger.append, change, key=key, content=texts, underway=underway)
        placed.result(timeout=5)
        return done, underway


@contextmanager
def held(platform: Platform) -> Iterator[Line]:
    with ThreadPoolExecutor(12) as pool, psycopg.connect(platform.dsn, autocommit=True) as holder:
        holder.execute(LOCK)
        yield Line(platform, pool)
        holder.close()


def transactions(platform: Platform) -> dict[str, str]:
    return dict(platform.rows("SELECT originator_id, xmin::text FROM ledger_events"))


def test_what_comes_while_one_is_written_goes_together(platform: Platform) -> None:
    with held(platform) as line:
        futures = [line.append(stream, 0)[0] for stream in "abcd"]
    assert [future.result() for future in futures] == [1, 2, 3, 4]
    by = transactions(platform)
    assert by["a"] != by["b"] == by["c"] == by["d"]
    assert platform.rows("SELECT count(*) FROM content") == [(4,)]


@pytest.mark.parametrize("spoilt", [{"expected": 7}, {"expected": 0, "key": "used"}])
def test_one_that_cannot_be_written_spoils_it_for_nobody(platform: Platform, spoilt: dict[str, Any]) -> None:
    platform.ledger.append(Change("x", 0, [counted("x")]), key="used")
    with held(platform) as line:
        futures = [line.append("a", 0)[0], line.append("b", 0)[0], line.append("bad", **spoilt)[0]]
        futures.append(line.append("c", 0)[0])
    written = [future.result() for future in (futures[0], futures[1], futures[3])]
    assert written == sorted(written)
    assert platform.ledger.read("bad") == []
    if "key" in spoilt:
        assert futures[2].result() is None
    else:
        with pytest.raises(VersionConflict):
            futures[2].result()


def test_the_same_key_or_stream_does_not_go_together(platform: Platform) -> None:
    with held(platform) as line:
        line.append("first", 0)
        one, other = line.append("a", 0, key="k")[0], line.append("b", 0, key="k")[0]
        third, fourth = line.append("c", 0)[0], line.append("c", 0)[0]
    assert (one.result(), other.result()) == (2, None)
    assert third.result()
    with pytest.raises(VersionConflict):
        fourth.result()


def test_one_goes_on_from_another_before_it_stands(platform: Platform) -> None:
    with held(platform) as line:
        first, underway = line.append("a", 0)
        second, underway = line.append("a", 1, after=underway)
        third, _ = line.append("a", 2, after=underway)
    assert [first.result(), second.result(), third.result()] == [1, 2, 3]
    assert len(platform.ledger.read("a")) == 3
    assert len(set(platform.rows("SELECT xmin::text FROM ledger_events"))) == 2


def test_what_is_large_waits_for_what_it_goes_on_from(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(platform) as line:
        first, underway = line.append("a", 0)
        monkeypatch.setattr(group_commit, "MAX_SIZE", 1)
        second, _ = line.append("a", 1, after=underway)
    assert [first.result(), second.result()] == [1, 2]


def test_what_goes_on_from_what_was_not_written_is_not_written_either(platform: Platform) -> None:
    """Although its version fits: another process has brought the stream there, by another event."""
    with held(platform) as line:
        first, underway = line.append("a", 0)
        second, underway = line.append("a", 1, after=underway)
        third, _ = line.append("a", 2, after=underway)
        other = line.append("b", 0)[0]
        platform.do(
            "INSERT INTO ledger_events (originator_id, originator_version, topic, state)"
            f" SELECT 'a', 1, 'toy.counted/1', '{counted('a', 17).model_dump_json()}'"
        )
    for future in (first, second, third):
        with pytest.raises(VersionConflict):
            future.result()
    assert other.result()
    assert [event.step for event in platform.ledger.read("a") if isinstance(event, Counted)] == [17]


def test_who_fails_late_is_not_gone_on_from(platform: Platform) -> None:
    """It has failed already as the next one comes."""
    failed = PendingAppend()
    with pytest.raises(VersionConflict):
        platform.ledger.append(Change("a", 4, [counted("a")]), key="1", underway=failed)
    assert failed.failed
    platform.count("a")
    with pytest.raises(VersionConflict):
        platform.ledger.append(Change("a", 1, [counted("a")]), key="2", underway=PendingAppend(failed))
    assert platform.ledger.append(Change("a", 1, [counted("a")]), key="2") is not None


def test_a_key_that_was_used_is_nothing_to_go_on_from(platform: Platform) -> None:
    platform.ledger.append(Change("a", 0, [counted("a")]), key="k")
    underway = PendingAppend()
    assert platform.ledger.append(Change("b", 0, [counted("b")]), key="k", underway=underway) is None
    assert underway.failed


def test_a_connection_that_dies_takes_its_own_group_with_it(platform: Platform) -> None:
    with held(platform) as line:
        first, underway = line.append("a", 0)
        group = [line.append("a", 1, after=underway)[0], line.append("b", 0)[0]]
        cut(platform)
        with pytest.raises(Unavailable):
            first.result(timeout=5)
        group += [line.append("c", 0)[0], line.append("d", 0)[0]]
        cut(platform)
        with pytest.raises(VersionConflict):
            group[0].result(timeout=5)
        with pytest.raises(Unavailable):
            group[1].result(timeout=5)
        cut(platform)
        for future in group[2:]:
            with pytest.raises(Unavailable):
                future.result(timeout=5)
        last = line.append("e", 0)[0]
    assert last.result() == 1


def cut(platform: Platform) -> None:
    """Cut the connection that waits for the lock, and wait until it is gone."""
    waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while not (pids := platform.rows(waiting)):
        time.sleep(0.01)
    platform.rows("SELECT pg_terminate_backend(%s, 5000)", pids[0][0])


def test_a_fault_of_ours_is_told_to_everybody_and_holds_up_nobody(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    appending = group_commit.append_parameters

    def faulty(group: Any) -> Any:
        if len(group) > 1:
            raise LookupError("a fault")
        return appending(group)

    monkeypatch.setattr(group_commit, "append_parameters", faulty)
    with held(platform) as line:
        futures = [line.append(stream, 0)[0] for stream in "abc"]
    assert futures[0].result() == 1
    for future in futures[1:]:
        with pytest.raises(LookupError):
            future.result()
    assert platform.count("d") == 2


def test_processes_that_store_the_same_texts_do_not_block_each_other(platform: Platform) -> None:
    """Each stores them in another order."""
    texts = [Content(f"owner {n}", "the same") for n in range(40)]

    def write(writer: int) -> None:
        with another(platform) as ledger:
            for n in range(20):
                content = texts if writer % 2 else texts[::-1]
                ledger.append(Change(f"{writer}.{n}", 0, [counted("a")]), key=f"{writer}.{n}", content=content)
                platform.do("DELETE FROM content")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert platform.rows("SELECT count(*) FROM ledger_events") == [(80,)]


def test_what_was_said_to_be_written_is_there_and_nothing_else(platform: Platform) -> None:
    """Two processes of six threads each, all on the same few streams."""
    said: list[tuple[str, int]] = []

    def work(ledger: Ledger) -> Callable[[int], None]:
        def add(n: int) -> None:
            stream = f"s{n % 3}"
            expected = len(ledger.read(stream))
            change = Change(stream, expected, [counted(stream, n)])
            try:
                if ledger.append(change, key=f"{id(ledger)}:{n // 2}:{expected}") is not None:
                    said.append((stream, n))
            except VersionConflict:
                pass

        return add

    with another(platform) as one, another(platform) as other, ThreadPoolExecutor(12) as pool:
        here, there = work(one), work(other)
        list(pool.map(lambda n: (here if n % 2 else there)(n), range(600)))
    stand = [(r.stream, r.event.step) for r in platform.ledger.after(0, 1_000) if isinstance(r.event, Counted)]
    assert sorted(stand) == sorted(said)
    assert len(said) > 20


@contextmanager
def another(platform: Platform) -> Iterator[Ledger]:
    """The ledger as another process has it."""
    database = Database(platform.dsn)
    database.open()
    yield Ledger(LedgerRecorder(database), REGISTRY)
    database.close()


def test_processes_of_the_release_before_append_as_they_did(platform: Platform) -> None:
    state = counted("a").model_dump_json().encode()
    append = (
        "SELECT ledger_append('k', ARRAY['a'], ARRAY[1::bigint], ARRAY['toy.counted/1'], ARRAY[%s::bytea],"
        " ARRAY['a'], ARRAY['hash'], ARRAY['text'])"
    )
    assert platform.rows(append, state) == [([1],)]
    assert platform.rows(append, state) == [([],)]
    assert platform.ledger.read("a") == [counted("a")]

"""Circuits on a real ledger, as several workers see them."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from activities.providers import circuits as module
from activities.providers.circuits import CircuitBreakers, CircuitIsOpen
from adapters.memory.outcome_counts import MemoryOutcomeCounts
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.redis.outcome_counts import RedisOutcomeCounts
from domain.ledger import Ledger
from domain.providers.circuit import CircuitRule, Outcomes, stream
from domain.providers.ports import OutcomeCounts
from domain.registry import event_registry

RULE = CircuitRule(0.5, 4, 60.0, 30.0)
PLACE = ("p", "m")
AWAY = "redis://127.0.0.1:1/0"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 28, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    database = Database(database_url, size=8)
    database.open()
    yield Ledger(LedgerRecorder(database), event_registry())
    database.close()


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a worker knows of a circuit is read for each call: a test has no second to wait."""
    monkeypatch.setattr(module, "_BELIEVED_S", 0.0)


def worker(ledger: Ledger, clock: Clock, shared: OutcomeCounts | None) -> CircuitBreakers:
    return CircuitBreakers(ledger, RULE, clock, shared=shared, own=MemoryOutcomeCounts(RULE.window_s))


async def call(breakers: CircuitBreakers, failure: str | None) -> None:
    is_probe = await breakers.admit(*PLACE)
    await breakers.note(*PLACE, failure, is_probe=is_probe)


def moves(ledger: Ledger) -> list[str]:
    return [event.NAME.removeprefix("provider.circuit_") for event in ledger.read(stream(*PLACE))]


async def test_failures_of_several_workers_open_the_circuit_for_all_of_them(
    ledger: Ledger, clock: Clock, redis_url: str
) -> None:
    first, second = (worker(ledger, clock, RedisOutcomeCounts(redis_url, 60.0)) for _ in range(2))
    for breakers in (first, second, first, second):
        await call(breakers, "unavailable")
    for breakers in (first, second):
        with pytest.raises(CircuitIsOpen) as caught:
            await breakers.admit(*PLACE)
        assert caught.value.details["retry_after"] == 30.0
    assert moves(ledger) == ["opened"]
    (opened,) = ledger.read(stream(*PLACE))
    assert (opened.calls, opened.failures, opened.error) == (4, 4, "unavailable")  # type: ignore[attr-defined]


async def test_one_worker_probes_and_an_answer_closes_it(ledger: Ledger, clock: Clock, redis_url: str) -> None:
    workers = [worker(ledger, clock, RedisOutcomeCounts(redis_url, 60.0)) for _ in range(4)]
    for breakers in workers:
        await call(breakers, "timeout")
    clock.move(30)
    found = await asyncio.gather(*(breakers.admit(*PLACE) for breakers in workers), return_exceptions=True)
    assert [each for each in found if each is True] == [True]
    assert sum(isinstance(each, CircuitIsOpen) for each in found) == 3
    prober = workers[found.index(True)]
    await prober.note(*PLACE, None, is_probe=True)
    assert [await breakers.admit(*PLACE) for breakers in workers] == [False] * 4
    assert moves(ledger) == ["opened", "half_opened", "closed"]
    await call(workers[0], "timeout")
    assert moves(ledger)[-1] == "closed", "what failed before does not count again"


async def test_a_failed_probe_opens_it_again_for_longer(ledger: Ledger, clock: Clock) -> None:
    breakers = worker(ledger, clock, None)
    for _ in range(4):
        await call(breakers, "unreachable")
    clock.move(30)
    await call(breakers, "unreachable")
    assert moves(ledger) == ["opened", "half_opened", "opened"]
    clock.move(59)
    with pytest.raises(CircuitIsOpen):
        await breakers.admit(*PLACE)
    clock.move(1)
    assert await breakers.admit(*PLACE)


async def test_without_valkey_each_worker_counts_for_itself_and_all_know_what_is_open(
    ledger: Ledger, clock: Clock
) -> None:
    first, second = (worker(ledger, clock, RedisOutcomeCounts(AWAY, 60.0)) for _ in range(2))
    for breakers in (first, second, first, second, first, first):
        assert moves(ledger) == []
        await call(breakers, "unavailable")
    assert moves(ledger) == ["opened"]
    with pytest.raises(CircuitIsOpen):
        await second.admit(*PLACE)


async def test_answers_keep_it_closed_and_refusals_are_answers(ledger: Ledger, clock: Clock) -> None:
    breakers = worker(ledger, clock, None)
    for failure in (None, "bad_request", "unavailable", None, "unavailable", "rate_limited", "rate_limited", None):
        await call(breakers, failure)
    assert moves(ledger) == []


async def test_a_late_failure_of_an_ordinary_call_moves_nothing(ledger: Ledger, clock: Clock) -> None:
    breakers = worker(ledger, clock, None)
    for _ in range(4):
        await call(breakers, "cut")
    for _ in range(4):
        await breakers.note(*PLACE, "cut", is_probe=False)
    assert moves(ledger) == ["opened"]


async def test_outcomes_are_counted_in_a_window_that_slides(redis_url: str) -> None:
    shared = RedisOutcomeCounts(redis_url, 1.0)
    assert await shared.add("p/m", succeeded=3, failed=1) == Outcomes(4, 1)
    assert await shared.add("p/m", succeeded=0, failed=1) == Outcomes(5, 2)
    await asyncio.sleep(1.1)
    assert await shared.add("p/m", succeeded=0, failed=0) == Outcomes(0, 0)
    await shared.add("p/m", succeeded=0, failed=1)
    await shared.clear("p/m")
    assert await shared.add("p/m", succeeded=0, failed=0) == Outcomes(0, 0)

"""Slots for calls to providers: the same rules in Valkey as in a single process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import count

import pytest

from adapters.memory.provider_slots import MemoryProviderSlots
from adapters.redis import provider_slots
from adapters.redis.provider_slots import RedisProviderSlots
from domain.errors import Unavailable
from domain.providers.ports import ProviderSlots, SlotEnd, SlotRequest
from domain.providers.table import ProviderLimits

NAMES = count()


@pytest.fixture(params=["memory", "redis"])
async def slots(request: pytest.FixtureRequest) -> AsyncIterator[ProviderSlots]:
    made: ProviderSlots = (
        MemoryProviderSlots() if request.param == "memory" else RedisProviderSlots(request.getfixturevalue("redis_url"))
    )
    yield made
    await made.close()


def asked(tenant: str, weight: float = 1.0, tokens: int = 0) -> SlotRequest:
    return SlotRequest(f"{tenant}-{next(NAMES)}", tenant, weight, tokens)


async def served(slots: ProviderSlots, waiting: Sequence[SlotRequest]) -> list[str]:
    """The tenants of all these calls in the order in which each gets the one slot."""
    left, order, held = list(waiting), list[str](), list[SlotEnd]()
    while left:
        granted = await slots.poll("p", ProviderLimits(1), left, (), held)
        (one,) = [each for each in left if each.id in granted]
        order.append(one.tenant_id)
        left.remove(one)
        held = [SlotEnd(one.id, 0)]
    await slots.poll("p", ProviderLimits(1), (), (), held)
    return order


async def test_no_more_calls_have_a_slot_than_the_provider_takes(slots: ProviderSlots) -> None:
    limits, waiting = ProviderLimits(2), [asked("a") for _ in range(3)]
    first = await slots.poll("p", limits, waiting, (), ())
    assert first == {each.id for each in waiting[:2]}
    assert await slots.poll("p", limits, waiting[2:], first, ()) == set()
    ended = waiting[0].id
    assert await slots.poll("p", limits, waiting[2:], first - {ended}, [SlotEnd(ended, 0)]) == {waiting[2].id}


async def test_a_tenant_that_floods_is_served_in_turn_with_the_others(slots: ProviderSlots) -> None:
    flood = [asked("flood") for _ in range(20)]
    order = await served(slots, [*flood, asked("calm"), asked("calm")])
    assert [set(order[:2]), set(order[2:4])] == [{"flood", "calm"}] * 2


async def test_a_tenant_that_comes_later_has_no_credit_and_does_not_wait_behind_the_flood(
    slots: ProviderSlots,
) -> None:
    assert await served(slots, [asked("flood") for _ in range(10)]) == ["flood"] * 10
    late = [*(asked("flood") for _ in range(5)), *(asked("late") for _ in range(5))]
    assert set((await served(slots, late))[:2]) == {"flood", "late"}


async def test_shares_follow_the_weights(slots: ProviderSlots) -> None:
    waiting = [*(asked("light") for _ in range(12)), *(asked("heavy", 3.0) for _ in range(12))]
    assert (await served(slots, waiting))[:8].count("heavy") == 6


async def test_requests_and_tokens_of_a_minute_are_bounded(slots: ProviderSlots) -> None:
    waiting = [asked("a", tokens=40) for _ in range(4)]
    assert len(await slots.poll("p", ProviderLimits(requests_per_minute=3), waiting, (), ())) == 3
    limits = ProviderLimits(tokens_per_minute=100)
    granted = await slots.poll("q", limits, waiting, (), ())
    assert len(granted) == 2
    left = [each for each in waiting if each.id not in granted]
    ended = [SlotEnd(name, -40) for name in granted]
    assert len(await slots.poll("q", limits, left, (), ended)) == 2, "what was not taken is free again"


async def test_a_call_larger_than_a_minute_passes_alone(slots: ProviderSlots) -> None:
    large = [asked("a", tokens=500), asked("a", tokens=500)]
    assert await slots.poll("p", ProviderLimits(tokens_per_minute=100), large, (), ()) == {large[0].id}


async def test_processes_share_the_slots_and_a_dead_one_gives_them_back(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_slots, "LEASE_MS", 300)
    dead, alive = RedisProviderSlots(redis_url), RedisProviderSlots(redis_url)
    limits, one, other = ProviderLimits(1), asked("a"), asked("b")
    assert await dead.poll("p", limits, [one], (), ()) == {one.id}
    assert await alive.poll("p", limits, [other], (), ()) == set()
    assert await dead.poll("p", limits, (), (one.id,), ()) == set()
    await dead.close()
    granted: frozenset[str] = frozenset()
    async with asyncio.timeout(5):
        while not granted:
            granted = await alive.poll("p", limits, [other], (), ())
    assert granted == {other.id}
    await alive.close()


async def test_without_valkey_it_says_so_at_once() -> None:
    away = RedisProviderSlots("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await away.poll("p", ProviderLimits(1), [asked("a")], (), ())

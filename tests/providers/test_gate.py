"""The gate to one provider, as the calls of one process go through it."""

import asyncio
from collections.abc import Collection, Sequence

import pytest
from structlog.testing import capture_logs

from activities.providers.gate import ProviderGate, Slot
from adapters.memory.provider_slots import MemoryProviderSlots
from domain.errors import Unavailable
from domain.providers.ports import ProviderSlots, SlotEnd, SlotRequest
from domain.providers.table import ProviderLimits


class Away:
    """Shared slots that cannot be reached."""

    async def poll(
        self,
        provider: str,
        limits: ProviderLimits,
        waiting: Sequence[SlotRequest],
        held: Collection[str],
        ended: Sequence[SlotEnd],
    ) -> frozenset[str]:
        raise Unavailable("away")

    async def close(self) -> None:
        """Nothing is open."""


def gate_of(most: int, *, shared: ProviderSlots | None = None) -> ProviderGate:
    return ProviderGate("p", ProviderLimits(most), {}, shared=shared, own=MemoryProviderSlots())


async def make_calls(gate: ProviderGate, number: int) -> int:
    """Make so many calls at once; return the most that were under way together."""
    under_way = seen = 0

    async def call(tenant: str) -> None:
        nonlocal under_way, seen
        slot = await gate.enter(tenant)
        under_way += 1
        seen = max(seen, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        gate.leave(slot, tokens=7)

    async with asyncio.timeout(10):
        await asyncio.gather(*(call(f"tenant-{each % 3}") for each in range(number)))
    return seen


async def test_no_more_calls_are_under_way_than_the_provider_takes() -> None:
    gate = gate_of(4)
    assert await make_calls(gate, 30) == 4
    assert not gate.is_full


async def test_a_call_that_comes_while_the_last_one_is_leaving_is_served() -> None:
    class Slow(MemoryProviderSlots):
        async def close(self) -> None:
            await asyncio.sleep(0.02)

    gate = gate_of(1, shared=Slow())
    gate.leave(await gate.enter("a"), tokens=1)
    await asyncio.sleep(0.01)
    slot = await asyncio.wait_for(gate.enter("a"), 5)
    gate.leave(slot, tokens=1)


async def test_without_valkey_the_process_keeps_to_the_limits_by_itself_and_says_so_once() -> None:
    with capture_logs() as logged:
        assert await make_calls(gate_of(4, shared=Away()), 20) == 4
    assert [each["event"] for each in logged] == ["limits are kept by this process alone"]


async def test_a_call_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    gate = gate_of(1)
    held = await gate.enter("a")
    gone, waiting = (asyncio.create_task(gate.enter("a")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    gate.leave(held, tokens=None)
    slot = await asyncio.wait_for(waiting, 5)
    assert gate.is_full
    gate.leave(slot, tokens=None)
    await asyncio.gather(gone, return_exceptions=True)
    assert not gate.is_full


async def test_a_call_that_is_cancelled_with_its_slot_gives_it_back() -> None:
    gate = gate_of(1)
    entering = asyncio.create_task(gate.enter("a"))
    for _ in range(20):  # rounds of the event loop: until the grant is made, and before it arrives
        if gate._held:  # noqa: SLF001
            break
        await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    slot = await asyncio.wait_for(gate.enter("b"), 5)
    gate.leave(slot, tokens=None)


async def test_a_fault_of_the_slots_fails_the_calls_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    own = MemoryProviderSlots()
    gate = ProviderGate("p", ProviderLimits(1), {}, shared=None, own=own)

    async def broken(*_: object) -> frozenset[str]:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(own, "poll", broken)
        with pytest.raises(RuntimeError, match="broken"):
            await gate.enter("a")
        await asyncio.sleep(0.01)
    slot: Slot = await asyncio.wait_for(gate.enter("a"), 5)
    gate.leave(slot, tokens=1)

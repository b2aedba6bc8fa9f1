"""Many new sessions at once on one worker: each is answered or accepted, completed, and billed."""

import asyncio
from collections import Counter

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.whole import CALLER_WAITS_S, Whole, within

pytestmark = pytest.mark.prove

SESSIONS = 300
DELAY_S = 0.5
PATIENCE_S = 300.0
PAUSE_S = 15.0


async def burst(system: Whole, **more: object) -> list[httpx.Response]:
    """Sessions `burst-1` and on, all begun at the same moment."""
    system.model.script(default={"delay_s": DELAY_S})
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=system.http.base_url, limits=limits, timeout=CALLER_WAITS_S + PATIENCE_S
    ) as http:
        crowd = Whole(system.up, system.model, http)
        return await asyncio.gather(*(crowd.say("Hello.", f"burst-{number}", **more) for number in range(SESSIONS)))


async def assert_all_answered(system: Whole, responses: list[httpx.Response]) -> Counter[int]:
    """No message was refused, each is answered once; how many answers there were by status."""
    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) <= {200, 202}, statuses
    assert all(
        response.headers.get("location") for response in responses if response.status_code == httpx.codes.ACCEPTED
    )
    for number in range(SESSIONS):
        await within(PATIENCE_S, system.answered(f"burst-{number}", "Hello."))
        assert [turn["status"] for turn in await system.turns(f"burst-{number}")] == ["completed"]
    return statuses


async def test_new_sessions_at_once_are_each_completed_and_billed_once(system: Whole, measured: Say) -> None:
    statuses = await assert_all_answered(system, await burst(system))
    calls = await system.ended_calls()
    assert len(calls) == len(system.model.bill()) == SESSIONS
    assert_books_agree(calls, system.model.bill())
    measured(f"{SESSIONS} sessions: {dict(statuses)}")


async def test_new_sessions_at_once_outlive_a_worker_that_is_killed(system: Whole, measured: Say) -> None:
    saying = asyncio.create_task(burst(system))
    await system.model.until(lambda bill: len(bill) >= SESSIONS // 3, seconds=60)
    dead = system.up.pid("worker")
    system.up.kill("worker")
    await system.reborn("worker", dead)
    statuses = await assert_all_answered(system, await saying)
    calls = await system.ended_calls()
    assert_books_agree(calls, system.model.bill())
    assert sum(call["state"] == "settled" for call in calls) == SESSIONS
    again = len(calls) - SESSIONS
    measured(f"{SESSIONS} sessions, the worker killed: {dict(statuses)}, {again} calls were lost and made again")


async def test_new_sessions_while_the_worker_stands_still_are_accepted_and_billed_once(
    system: Whole, measured: Say
) -> None:
    with system.frozen("worker"):
        saying = asyncio.create_task(burst(system, timeout_s=1))
        await asyncio.sleep(PAUSE_S)
    statuses = await assert_all_answered(system, await saying)
    calls = await system.ended_calls()
    assert len(calls) == len(system.model.bill()) == SESSIONS
    measured(f"{SESSIONS} sessions, the worker paused for {PAUSE_S:.0f} s: {dict(statuses)}")

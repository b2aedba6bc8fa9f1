"""Model calls, short activities and local ones have places of their own: slow models hold up nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from runtime.settings import Settings
from runtime.wiring.worker_activities import LOCAL_AT_ONCE, SHORT_AT_ONCE, worker_options
from tests.approvals.desk import desk_of
from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel
from tests.system import System, running, until
from workflows.task_queues import WORKFLOW_QUEUE

NARROW = 2


def narrow(settings: Settings, **more: Any) -> Settings:
    return settings.model_copy(update={"model_concurrency": NARROW, **more})


@asynccontextmanager
async def watched(model: ScriptedModel) -> AsyncIterator[list[int]]:
    """How many calls the provider has under way, looked at again and again during the block."""
    seen: list[int] = []

    async def look() -> None:
        while True:
            seen.append(sum(call["state"] == "started" for call in model.bill()))
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


async def answered(system: System, count: int) -> None:
    said = await asyncio.gather(*(system.say(f"slow {number}", timeout_s=60) for number in range(count)))
    assert {response.status_code for response in said} == {200}


@pytest.mark.parametrize("queue", ["shared", "own"])
async def test_decisions_are_made_while_more_calls_wait_than_a_worker_makes_at_once(
    system_settings: Settings, scripted_model: ScriptedModel, queue: str
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 1.5, "times": None})
    settings = narrow(system_settings, model_queue=queue)
    async with running(settings) as system, desk_of(system) as desk:
        ask, waiter = await desk.asked()
        saying = asyncio.create_task(answered(system, 4 * NARROW))
        await scripted_model.until(lambda bill: len(bill) == NARROW)
        assert (await desk.post(ask, "approve")).status_code == 200
        assert (await waiter.result()).decided.outcome == "approved"
        assert not saying.done()
        assert len(scripted_model.bill()) < 4 * NARROW, "the calls were over before the decision"
        await saying
        bill = scripted_model.bill()
        assert len(bill) == 4 * NARROW
        assert_books_agree(await system.calls(), bill)


@pytest.mark.parametrize("queues", [None, ("convergio-flow", "convergio-io")])
async def test_a_worker_makes_no_more_calls_at_once_than_it_may(
    system_settings: Settings, scripted_model: ScriptedModel, queues: tuple[str, ...] | None
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 0.3, "times": None})
    async with running(narrow(system_settings), queues=queues) as system, watched(scripted_model) as under_way:
        await answered(system, 4 * NARROW)
        assert len(scripted_model.bill()) == 4 * NARROW
        assert max(under_way) == NARROW


async def test_swarms_and_sessions_share_the_places(system_settings: Settings, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"delay_s": 0.2, "times": None})
    body = {"task": "slow", "agents": ["amy_cfo", "oliver_pm"], "coordination_mode": "parallel"}
    async with running(narrow(system_settings)) as system, watched(scripted_model) as under_way:
        swarm = await system.http.post("/api/v1/swarm/coordinate", json=body)
        await answered(system, 3)
        await until(
            lambda: system.http.get(swarm.headers["location"]),
            lambda it: it.json()["status"] == "completed",
            seconds=30,
        )
        assert max(under_way) <= NARROW


async def test_short_and_local_activities_have_places_beside_those_of_the_calls(system: System) -> None:
    flow = worker_options(narrow(system.settings), system.temporal, system.parts)[WORKFLOW_QUEUE]
    assert flow["max_concurrent_activities"] == NARROW + SHORT_AT_ONCE
    assert flow["max_concurrent_local_activities"] == LOCAL_AT_ONCE

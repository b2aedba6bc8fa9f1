"""Random workflows come to the same outcome whether workers live or die, and nothing in them happens twice."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from tests.chaos.books import assert_books_agree
from tests.chaos.conftest import Say
from tests.chaos.fleet import fleet
from tests.chaos.graphs import random_definition
from tests.chaos.swarms import asked
from tests.chaos.whole import Whole, eventually

pytestmark = pytest.mark.prove

WORKFLOWS = "/api/v1/workflows"
GRAPHS, AT_ONCE = 200, 20
OVER = {"completed", "rejected", "failed", "cancelled"}
PATIENCE_S = 240.0
_TWICE = """
    SELECT originator_id, state ->> 'node', state ->> 'visit', count(*)
    FROM (SELECT originator_id, convert_from(state, 'UTF8')::jsonb AS state FROM ledger_events
          WHERE topic LIKE 'graphflow.node_ended/%') AS ended
    WHERE state ->> 'item' IS NULL GROUP BY 1, 2, 3 HAVING count(*) > 1
"""

Outcome = dict[str, Any]


@pytest.mark.parametrize(("count", "every_s"), [(3, (1.5, 4)), (1, (5, 8))], ids=["three workers", "one worker"])
async def test_random_graphs_end_the_same_while_workers_are_killed(
    system: Whole, measured: Say, count: int, every_s: tuple[float, float]
) -> None:
    """With one worker there are times without any: it takes two seconds to start."""
    system.model.script(default={"delay_s": 0.3})
    workflows = [await _defined(system, seed) for seed in range(GRAPHS)]
    undisturbed = await _all(system, workflows, "undisturbed")
    async with fleet(system, count - 1) as workers:
        over = asyncio.Event()
        killing = asyncio.create_task(workers.kill_until(over, *every_s))
        disturbed = await _all(system, workflows, "disturbed")
        over.set()
        await killing
    assert disturbed == undisturbed
    assert _recorded_twice(system) == []
    agreed = assert_books_agree(await system.ended_calls(), system.model.bill())
    ends = Counter(outcome["status"] for outcome in undisturbed)
    measured(
        f"{GRAPHS} random graphs, each run twice, the second time with {workers.kills} kills among {count} workers:"
        f" the same outcome, each node's recorded once; {dict(ends)}; calls {dict(agreed)}"
    )


async def _defined(system: Whole, seed: int) -> str:
    response = await asked(system, WORKFLOWS, random_definition(seed), f"define-{seed}")
    assert response.status_code == httpx.codes.CREATED, response.text
    return str(response.json()["id"])


async def _all(system: Whole, workflows: list[str], name: str) -> list[Outcome]:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int, workflow_id: str) -> Outcome:
        async with room:
            return await _run(system, workflow_id, f"{name}-{number}", request="x" * (number % 7))

    return list(await asyncio.gather(*(one(number, each) for number, each in enumerate(workflows))))


async def _run(system: Whole, workflow_id: str, key: str, request: str) -> Outcome:
    response = await asked(system, f"{WORKFLOWS}/{workflow_id}/execute", {"input": {"request": request}}, key)
    assert response.status_code == httpx.codes.ACCEPTED, response.text
    execution_id = response.json()["execution_id"]

    async def over() -> Outcome | None:
        try:
            found = await system.http.get(f"{WORKFLOWS}/{workflow_id}/status", params={"execution_id": execution_id})
        except httpx.TransportError:
            return None
        if found.status_code != httpx.codes.OK or "x-convergio-stale" in found.headers:
            return None
        run = found.json()
        return run if run["status"] in OVER else None

    run = await eventually(over, PATIENCE_S)
    assert run is not None
    nodes = {node["id"]: (node["status"], node["output"]) for node in run["nodes"]}
    return {"status": run["status"], "result": run["result"], "nodes": nodes}


def _recorded_twice(system: Whole) -> list[Any]:
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        return connection.execute(_TWICE).fetchall()

"""Swarms under way while things die: started, polled and compared as a good client does it."""

import asyncio
from typing import Any

import httpx

from tests.chaos.whole import Whole, eventually

SWARM = "/api/v1/swarm"
APPROVALS = "/api/v1/approvals"
MODES = ("collaborative", "sequential", "parallel", "hierarchical", "debate", "vote", "handoff")
MEMBERS = ("antonio_strategy_expert", "ava_analytics_virtuoso", "amy_cfo")
OVER = {"completed", "rejected", "failed", "cancelled", "deadline_exceeded", "budget_exceeded"}
PATIENCE_S = 240.0


async def asked(system: Whole, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    """POST under a key until it is neither lost nor refused for the moment."""
    while True:
        try:
            response = await system.http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            await asyncio.sleep(0.2)
            continue
        if response.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
            return response
        await asyncio.sleep(min(float(response.headers.get("retry-after", "0.2")), 2.0))


async def begun(system: Whole, key: str, **more: Any) -> str:
    """A new swarm; its task id."""
    body = {"task": f"Find the three most important risks, case {key}.", "agents": list(MEMBERS), **more}
    response = await asked(system, f"{SWARM}/coordinate", body, key)
    assert response.status_code == httpx.codes.ACCEPTED, response.text
    return str(response.json()["task_id"])


async def status(system: Whole, task_id: str) -> dict[str, Any]:
    """How it stands, asked again while the system cannot say."""
    while True:
        try:
            response = await system.http.get(f"{SWARM}/status/{task_id}")
        except httpx.TransportError:
            await asyncio.sleep(0.2)
            continue
        if response.status_code == httpx.codes.OK and "x-convergio-stale" not in response.headers:
            return dict(response.json())
        assert response.status_code in {httpx.codes.OK, *range(500, 600)}, response.text
        await asyncio.sleep(0.2)


async def is_now(system: Whole, task_id: str, *statuses: str) -> dict[str, Any]:
    """Its status as soon as it is one of these."""

    async def there() -> dict[str, Any] | None:
        found = await status(system, task_id)
        return found if found["status"] in statuses else None

    return await eventually(there, PATIENCE_S) or {}

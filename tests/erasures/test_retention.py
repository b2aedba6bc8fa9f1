"""Texts past the retention period of their tenant are erased, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from activities.erasures.retention import RetentionActivities
from adapters.postgres.erasures.search import PostgresOwnerSearch
from adapters.postgres.records.integer_ids import PostgresTenantSecrets
from adapters.postgres.tenants import PostgresTenants
from domain.erasures.commands import ErasureCommands
from domain.retention.commands import RetentionCommands
from tests.erasures.stage import ERASURES, completed, figures, places
from tests.scripted_model import ScriptedModel
from tests.system import CHAT, OF_ACME, OF_ZETA, System
from workflows.erasures.client import ErasureClient
from workflows.erasures.retention import RetentionWorkflow
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")

RETENTION = "/api/v1/tenants/{}/retention"


def retention(system: System, days: float, text_cache_s: float = 1.0) -> RetentionActivities:
    """The activity of a worker whose clock is some days ahead."""
    parts = system.parts
    return RetentionActivities(
        RetentionCommands(parts.ledger),
        PostgresTenants(parts.database),
        PostgresOwnerSearch(parts.database, PostgresTenantSecrets(parts.database)),
        ErasureCommands(parts.ledger),
        start=ErasureClient(system.temporal, text_cache_s).start,
        now=lambda: datetime.now(UTC) + timedelta(days=days),
    )


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def kept_for_ever(shared: System) -> AsyncIterator[None]:
    """Both tenants are there, and have no period before a test, nor after it."""
    for tenant_id in ("acme", "zeta"):
        created = await shared.http.post("/api/v1/tenants", json={"id": tenant_id, "name": tenant_id})
        assert created.status_code in {201, 409}
    yield
    for tenant_id in ("acme", "zeta"):
        forever = {"session_days": None, "swarm_days": None, "execution_days": None}
        await put(shared, forever, tenant_id)


async def put(system: System, periods: dict[str, Any], tenant_id: str = "default") -> dict[str, Any]:
    response = await system.http.put(RETENTION.format(tenant_id), json=periods)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def said(system: System, mark: str, headers: dict[str, str], **more: Any) -> str:
    """The session of a new chat."""
    answer = await system.say(f"Keep {mark}.", headers=headers, **more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["session_id"])


async def all_erased(system: System, headers: dict[str, str]) -> list[dict[str, Any]]:
    """The erasures of a tenant, once all of them are completed."""
    listed = (await system.http.get(ERASURES, headers=headers, params={"kind": "expired"})).json()["data"]
    return [await completed(system, f"{ERASURES}/{each['id']}", **headers) for each in listed]


async def test_nothing_is_erased_while_no_period_is_set(shared: System, scripted_model: ScriptedModel) -> None:
    await said(shared, "all", OF_ACME)
    assert (await retention(shared, 36_500).apply_retention()).erasures == 0


async def test_a_session_past_its_period_is_erased_and_those_of_other_tenants_stay(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mine, theirs = (f"mark{uuid4().hex}" for _ in range(2))
    session_id, other = await said(shared, mine, OF_ACME), await said(shared, theirs, OF_ZETA)
    await shared.calls()
    before = figures(shared)
    await put(shared, {"session_days": 30}, "acme")
    assert (await retention(shared, 29.9).apply_retention()).erasures == 0
    assert (await retention(shared, 30.1).apply_retention()).erasures == 1
    (erasure,) = await all_erased(shared, OF_ACME)
    assert erasure["kind"] == "expired"
    assert erasure["subject"].startswith("session:")
    assert erasure["requested_by"] == "platform"
    assert await places(shared, mine) == []
    assert await places(shared, theirs) != []
    assert figures(shared) == before
    assert (await shared.http.get(f"{CHAT}/{session_id}", headers=OF_ACME)).json()["status"] == "ended"
    assert (await shared.http.get(f"{CHAT}/{other}", headers=OF_ZETA)).json()["status"] == "idle"


async def test_a_repeat_within_the_hour_and_later_ones_without_work_request_nothing(
    shared: System, scripted_model: ScriptedModel
) -> None:
    await said(shared, "once", OF_ZETA)
    await put(shared, {"session_days": 1}, "zeta")
    assert (await retention(shared, 2).apply_retention()).erasures == 1
    await all_erased(shared, OF_ZETA)
    assert (await retention(shared, 2).apply_retention()).erasures == 0
    assert (await retention(shared, 3).apply_retention()).erasures == 0


async def test_a_session_is_kept_while_it_waits_for_an_approval_or_a_fork_of_it_does(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mark = f"mark{uuid4().hex}"
    origin = await said(shared, mark, OF_ACME)
    forked = await shared.http.post(f"{CHAT}/{origin}/fork", json={"turn": 1}, headers=OF_ACME)
    held = await shared.say(
        "May I?", forked.json()["session_id"], headers=OF_ACME, require_approval=True, wait=True, timeout_s=10
    )
    assert held.json()["status"] == "awaiting_approval", held.text
    await put(shared, {"session_days": 1}, "acme")
    await retention(shared, 2).apply_retention()
    await all_erased(shared, OF_ACME)
    assert await places(shared, mark) != []


async def test_swarms_and_executions_past_their_period_are_erased(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mark = f"mark{uuid4().hex}"
    task = {"task": mark, "agents": ["ali_chief_of_staff", "amy_cfo"], "coordination_mode": "parallel"}
    started = await shared.http.post("/api/v1/swarm/coordinate", json=task, headers=OF_ZETA)
    assert started.status_code == 202, started.text
    location = started.headers["location"]
    for _ in range(400):
        status = (await shared.http.get(location, headers=OF_ZETA)).json()["status"]
        if status == "completed":
            break
        await asyncio.sleep(0.05)
    assert status == "completed"
    await put(shared, {"swarm_days": 7, "session_days": None}, "zeta")
    assert (await retention(shared, 6).apply_retention()).erasures == 0
    assert (await retention(shared, 8).apply_retention()).erasures == 1
    await all_erased(shared, OF_ZETA)
    assert await places(shared, mark) == []


async def test_periods_change_one_by_one_under_versions(shared: System) -> None:
    first = await put(shared, {"session_days": 30, "swarm_days": 60})
    second = await put(shared, {"swarm_days": None})
    assert (second["session_days"], second["swarm_days"], second["execution_days"]) == (30, None, None)
    assert second["version"] == first["version"] + 1
    assert await put(shared, {"swarm_days": None}) == second
    stale = await shared.http.put(
        RETENTION.format("default"), json={"session_days": 1}, headers={"If-Match": f'"{first["version"]}"'}
    )
    assert stale.status_code == 412
    read = await shared.http.get(RETENTION.format("default"))
    assert read.json() == second
    assert read.headers["etag"] == f'"{second["version"]}"'
    await put(shared, {"session_days": None})


@pytest.mark.parametrize("body", [{"session_days": 0}, {"swarm_days": -1}, {"execution_days": 36_501}, {"days": 3}])
async def test_periods_that_cannot_be_are_refused(shared: System, body: dict[str, int]) -> None:
    assert (await shared.http.put(RETENTION.format("default"), json=body)).status_code == 422


async def test_a_tenant_that_is_not_there_has_no_periods(shared: System) -> None:
    path = RETENTION.format("nobody")
    assert (await shared.http.get(path)).status_code == 404
    assert (await shared.http.put(path, json={"session_days": 1})).status_code == 404


async def test_the_workflow_applies_the_periods(shared: System, scripted_model: ScriptedModel) -> None:
    result = await shared.temporal.execute_workflow(
        RetentionWorkflow.run, id=f"retention-{uuid4()}", task_queue=WORKFLOW_QUEUE
    )
    assert result.erasures == 0

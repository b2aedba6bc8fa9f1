"""Every view is emptied and rebuilt while traffic goes on; then all that the API reads is as in an unbroken twin."""

import asyncio
import re
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from adapters.postgres.projections.rebuild import Rebuild
from domain.projection import Projection
from domain.registry import event_registry
from runtime.wiring.projections import projections
from tests.analytics import twin
from tests.analytics.day import AMY, OMRI, Day, prepare
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, CHAT, OF_ACME, OF_ZETA, System, until
from tests.tenants.test_routes import QUERIES as REQUIRED
from tests.tenants.test_routes import Made, routes, script

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_ADMIN = {"X-API-Key": ADMIN_KEY}
_MOMENTS = "as_of|detected_at|duration|duration_ms|duration_s|last_used_at|request_id|since|timestamp|to|until"
CLOCK = re.compile(rf'"({_MOMENTS})":[^,}}]*')
"""Fields that depend on the moment of the request."""
QUERIES = (
    "/analytics/dashboard?window=7d&tz=Asia/Kathmandu",
    "/analytics/agents?format=csv",
    "/analytics/usage?format=csv",
    "/cost-management/usage?group_by=session",
    "/cost-management/usage?group_by=workflow&format=csv",
    "/cost-management/ledger?format=csv&limit=1000",
    "/audit?format=csv",
    "/agents?status=inactive",
    "/approvals?status=approved",
)


class Traffic:
    """People who go on, whatever happens to the views: what is refused is sent again under its key."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.over = asyncio.Event()
        self.done = 0

    async def post(self, path: str, body: Any) -> dict[str, Any]:
        headers = {**OF_ACME, "Idempotency-Key": uuid4().hex}

        async def send() -> httpx.Response:
            return await self.system.http.post(path, json=body, headers=headers)

        answer = await until(send, lambda answer: answer.status_code in {200, 201, 202}, seconds=60)
        return dict(answer.json())

    async def talk(self, number: int) -> None:
        session, turn = f"on-and-on-{number}", 0
        while not self.over.is_set():
            turn += 1
            body = {"agent_id": AGENT, "message": f"Message {turn}.", "context": {"session_id": session}}
            said = await self.post(CHAT, body)
            await self.post(f"{CHAT}/{session}/turns/{said['turn']}/rating", {"rating": 1 + turn % 5})
            self.done += 1

    async def coordinate(self) -> None:
        while not self.over.is_set():
            task = {"task": "Plan.", "agents": [AMY, OMRI], "coordination_mode": "parallel"}
            await self.post("/api/v1/swarm/coordinate", task)
            await asyncio.sleep(0.3)

    async def keep(self) -> None:
        """Records, keys, components: one of each after the other."""
        while not self.over.is_set():
            name = uuid4().hex
            await self.post("/api/v1/talents", {"name": name, "email": f"{name}@example.com", "skills": ["Go"]})
            await self.post("/api/v1/clients", {"name": name})
            await self.post("/api/v1/projects", {"name": name})
            await self.post("/api/v1/keys", {"name": name, "scopes": ["read"]})
            state = {"component_id": name, "component_type": "memory", "state": {"n": 1}}
            await self.post("/api/v1/serialization/save", state)
            await asyncio.sleep(0.1)


def empty_and_rebuild(url: str, projection: Projection) -> int:
    """Delete all rows of a projection under the eyes of everybody, and rebuild it; the number of events folded."""
    tables = SQL(", ").join(Identifier(kind.TABLE) for kind in projection.kinds)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL("TRUNCATE {}").format(tables))
    return Rebuild(url, event_registry(), projection).run(compare=False).events


async def empty_all(system: System) -> None:
    """Empty and rebuild every projection, each while the traffic goes on."""
    for projection in projections():
        folded = await asyncio.to_thread(empty_and_rebuild, system.settings.database_url or "", projection)
        assert folded > 200
        await asyncio.sleep(0.2)


async def at_rest(system: System) -> None:
    """Wait until no run goes on but those that wait for people, and no event comes any more."""

    async def is_moving() -> bool:
        head = await asyncio.to_thread(system.parts.ledger.head)
        await asyncio.sleep(1.5)
        return head != await asyncio.to_thread(system.parts.ledger.head) or not await twin.is_caught_up(system)

    await until(is_moving, lambda moving: not moving, seconds=120)


async def test_all_reads_are_as_in_an_unbroken_twin(
    shared: System, database_url: str, scripted_model: ScriptedModel
) -> None:
    origin = shared.settings.database_url or ""
    script(scripted_model)
    prepare(scripted_model)
    acme, zeta, traffic = Made(shared), Day(shared, OF_ZETA), Traffic(shared)
    with twin.following(origin, database_url):
        await acme.create()
        await zeta.live()
        people = [asyncio.create_task(traffic.talk(number)) for number in range(3)]
        people += [asyncio.create_task(traffic.coordinate()), asyncio.create_task(traffic.keep())]
        await empty_all(shared)
        done_meanwhile = traffic.done
        traffic.over.set()
        await asyncio.gather(*people)
        await at_rest(shared)
    assert done_meanwhile > 10
    twin.copy_the_rest(origin, database_url)
    with psycopg.connect(origin) as connection:
        assert connection.execute("SELECT * FROM projection_dead_letters").fetchall() == []
    assert twin.digests(origin) == twin.digests(database_url)
    async with twin.serving(shared, database_url) as http:
        read = await compare(shared, http, acme, zeta)
    assert read > 100


async def compare(system: System, other: httpx.AsyncClient, acme: Made, zeta: Day) -> int:
    """Read every route from both, and return how many answers were equal."""
    paths = [
        (template, f"{acme.path(template)}?{urlencode(REQUIRED.get(template, {}))}".removesuffix("?"))
        for method, template in routes(system)
        if method == "GET"
    ]
    asked = [(path, OF_ACME) for _, path in paths]
    asked += [(path, headers) for template, path in paths if "{" not in template for headers in (OF_ZETA, {}, OF_ADMIN)]
    asked += [(f"/api/v1{query}", headers) for query in QUERIES for headers in (OF_ACME, OF_ZETA)]
    asked += [(path, OF_ZETA) for path in pages_of(zeta)]
    asked.append(("/api/v1/tenants", OF_ADMIN))
    for path, headers in asked:
        here, there = [await http.get(path, headers=headers) for http in (system.http, other)]
        assert here.status_code == there.status_code == 200, f"{path}: {here.text} {there.text}"
        assert "x-convergio-stale" not in {**here.headers, **there.headers}
        assert CLOCK.sub("", here.text) == CLOCK.sub("", there.text), path
    return len(asked)


def pages_of(day: Day) -> list[str]:
    """The pages of what a day has made."""
    own = {name: day.ids[name] for name in ("session_id", "task_id", "workflow_id", "execution_id", "approval_id")}
    templates = (
        f"{CHAT}/{{session_id}}",
        f"{CHAT}/{{session_id}}/export",
        "/api/v1/swarm/status/{task_id}",
        "/api/v1/workflows/{workflow_id}/status?execution_id={execution_id}",
        "/api/v1/workflows/{workflow_id}/executions",
        "/api/v1/approvals/{approval_id}",
        f"/api/v1/projects/{day.ids['project_id']}/analytics",
    )
    return [template.format(**own) for template in templates]

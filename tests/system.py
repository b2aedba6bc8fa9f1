"""The whole system in one process, on the run's shared servers: API, worker and projection runner."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Event as Flag
from threading import Thread
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from fastapi import FastAPI
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from adapters.postgres.projections.runner import ProjectionRunner
from api.http.api_keys import key_hash
from api.http.caller import ALL_SCOPES
from domain.agents.ports import AgentFilter
from domain.keys.ports import StoredKey
from domain.tenant_ids import DEFAULT
from runtime import temporal
from runtime.processes.api import make_app
from runtime.processes.worker import make_workers, run_until_stopped
from runtime.seeding import seed_ledger
from runtime.settings import Settings
from runtime.wiring.parts import Parts, agent_files, keys, make_parts
from runtime.wiring.projections import projections

T = TypeVar("T")

CHAT = "/api/v1/agents/chat"
AGENT = "ali_chief_of_staff"
ADMIN_KEY = "cvg_the-first-admin-key"
SIGNING_KEY = b64encode(bytes(range(32))).decode()
ACME_KEY = "cvg_a-key-of-the-tenant-acme"
ZETA_KEY = "cvg_a-key-of-the-tenant-zeta"
OF_ACME = {"X-API-Key": ACME_KEY}
OF_ZETA = {"X-API-Key": ZETA_KEY}
TENANT_KEYS = {
    key_hash(ACME_KEY): StoredKey("key_acme", ALL_SCOPES, "acme"),
    key_hash(ZETA_KEY): StoredKey("key_zeta", ALL_SCOPES, "zeta"),
}


@dataclass
class System:
    """A running system. `http` speaks to its API, which is `app`."""

    settings: Settings
    parts: Parts
    temporal: Client
    app: FastAPI
    http: httpx.AsyncClient

    async def say(self, message: str, session_id: str | None = None, **more: Any) -> httpx.Response:
        """POST a message to the first agent."""
        headers = more.pop("headers", {})
        context = {"session_id": session_id} if session_id else {}
        body = {"agent_id": AGENT, "message": message, "context": context, **more}
        return await self.http.post(CHAT, json=body, headers=headers)

    async def session(self, session_id: str) -> dict[str, Any]:
        """GET a session."""
        response = await self.http.get(f"{CHAT}/{session_id}")
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def settled(self, session_id: str, *, seconds: float = 10) -> dict[str, Any]:
        """GET a session as soon as nothing in it is being worked on."""
        return await until(lambda: self.session(session_id), lambda it: it["status"] != "running", seconds=seconds)

    async def decide(
        self, approval_id: str, verb: str, *, headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """POST a decision on an approval that may still be on its way. A busy system accepts it first: then GET it."""
        url = f"/api/v1/approvals/{approval_id}"
        response = await until(
            lambda: self.http.post(f"{url}/{verb}", json=body, headers=headers), lambda it: it.status_code != 404
        )
        if response.status_code != 202:
            return response
        return await until(lambda: self.http.get(url, headers=headers), lambda it: it.json()["decided_at"] is not None)

    async def calls(self, **wanted: str) -> list[dict[str, Any]]:
        """The books' calls, newest first, once their view has caught up."""
        asked = {"limit": "1000", **wanted}
        response = await until(
            lambda: self.http.get("/api/v1/cost-management/ledger", params=asked),
            lambda response: "x-convergio-stale" not in response.headers,
        )
        assert response.status_code == 200, response.text
        return list(response.json()["data"])


async def until(ask: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, seconds: float = 10) -> T:
    """What `ask` gives as soon as it holds; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            if holds(given := await ask()):
                return given
            await asyncio.sleep(0.05)


async def new_namespace(address: str) -> str:
    """A Temporal namespace of one's own, with our search attributes.

    Our schedules are not there: hundreds of namespaces that each wake up every minute, to the end of the run, would
    slow the server down for all.
    """
    name = f"test-{uuid4().hex}"
    retention = Duration()
    retention.FromTimedelta(timedelta(days=1))
    client = await Client.connect(address)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    ours = await temporal.connect(Settings(temporal_address=address, temporal_namespace=name))
    await temporal.register_search_attributes(ours)
    return name


def settings_of(
    *, database_url: str, temporal_address: str, redis_url: str, model_url: str, namespace: str, **more: Any
) -> Settings:
    """Settings of a system on these servers, without a rate limit, quick to try a failed call again."""
    return Settings(
        **{
            "database_url": database_url,
            "temporal_address": temporal_address,
            "temporal_namespace": namespace,
            "redis_url": redis_url,
            "openai_base_url": model_url,
            "model": "scripted",
            "model_pause_s": 0.02,
            "text_cache_s": 1.0,
            "rate_limit": "off",
            "signing_key": SIGNING_KEY,
            **more,
        }
    )


@asynccontextmanager
async def running(
    settings: Settings, *, working: bool = True, queues: Sequence[str] | None = None
) -> AsyncIterator[System]:
    """A system from start to stop; without `working` no worker runs, with `queues` one for these only."""
    async with AsyncExitStack() as stack:
        client = await temporal.connect(settings)
        parts = make_parts(settings)
        parts.database.open()
        await asyncio.to_thread(seed_ledger, settings, parts)
        stack.enter_context(_projecting(settings, parts))
        if working:
            await stack.enter_async_context(_working(settings, client, queues))
        app = make_app(settings, parts, client, known=keys(settings, TENANT_KEYS))
        await stack.enter_async_context(app.router.lifespan_context(app))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        http = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=90)
        )
        await _agents_seen(parts)
        yield System(settings, parts, client, app, http)


async def _agents_seen(parts: Parts) -> None:
    """Return once the view of agents has those of the files: work that names one would fail before."""
    every = AgentFilter(DEFAULT)
    count = len(agent_files())
    await until(
        lambda: asyncio.to_thread(parts.agents.page, every, skip=0, limit=1),
        lambda page: page.total >= count,
        seconds=60,
    )


@asynccontextmanager
async def _working(settings: Settings, client: Client, queues: Sequence[str] | None) -> AsyncIterator[None]:
    parts, stop = make_parts(settings), asyncio.Event()
    parts.database.open()
    task = asyncio.create_task(run_until_stopped(make_workers(settings, client, parts, queues), stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await parts.toolbox.aclose()
        await parts.model.aclose()
        await parts.live.aclose()
        await parts.knowledge.models.aclose()
        await asyncio.to_thread(parts.database.close)


@contextmanager
def _projecting(settings: Settings, parts: Parts) -> Iterator[None]:
    stop = Flag()
    runner = ProjectionRunner(settings.database_url or "", parts.registry, projections())
    thread = Thread(target=runner.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

"""The API process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from temporalio.client import Client

from adapters.postgres.operations.request_counts import PostgresRequestRecorder
from api.app import ApiParts, ApiSettings, create_app
from api.graphflow.definition_requests import YAML
from api.http.server import BoundedHttpProtocol
from domain.approvals import policy_record
from domain.governance.ports import NoRateLimit
from domain.keys.ports import KeyStore
from runtime import temporal
from runtime.event_loop import freeze_garbage_collector, uvloop_runner
from runtime.settings import Settings
from runtime.wiring import health_probes as probes
from runtime.wiring.access import access_routers, make_access
from runtime.wiring.api_routes import make_routers
from runtime.wiring.parts import (
    Parts,
    keys,
    make_answer_store,
    make_fallback_limiter,
    make_parts,
    make_positions,
    make_rate_limiter,
)
from runtime.wiring.people_routes import CSV_BODIES, LARGER_BODIES
from runtime.wiring.telemetry import make_telemetry

CONNECTIONS = 16
_GRACE_S = 30


def run_api(settings: Settings) -> None:
    """Run the process `convergio api`."""
    with uvloop_runner() as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    app = make_app(settings, make_parts(settings, connections=CONNECTIONS), await temporal.connect(settings, lazy=True))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedHttpProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    freeze_garbage_collector()
    await uvicorn.Server(config).serve()


def make_app(settings: Settings, parts: Parts, client: Client, *, known: KeyStore | None = None) -> FastAPI:
    """The API on these parts. It opens them when it starts and closes them when it stops.

    `known` are the keys that it lets in besides created ones, if not those of the settings.
    """
    if not settings.auth_on:
        parts.risks.refuse_without_keys()
    limiter, live, registry = make_rate_limiter(settings), make_positions(parts), CollectorRegistry()
    access, telemetry = make_access(settings, parts, known or keys(settings)), make_telemetry(settings, registry)
    requests = PostgresRequestRecorder(parts.database)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        parts.database.open()
        await asyncio.to_thread(policy_record.refuse_other, parts.ledger, parts.risks)
        await asyncio.to_thread(parts.signatures.prepare)
        # after the database is open: it reads the positions
        live.start()
        access.start()
        telemetry.start()
        requests.start()
        if not isinstance(limiter, NoRateLimit):
            await limiter.warm()
        try:
            yield
        finally:
            await asyncio.to_thread(telemetry.close)
            live.close()
            await requests.close()
            await access.close()
            if not isinstance(limiter, NoRateLimit):
                await limiter.close()
            await parts.toolbox.aclose()
            await parts.model.aclose()
            await asyncio.to_thread(parts.database.close)

    return create_app(
        ApiParts(
            settings=_api_settings(settings),
            answers=make_answer_store(parts),
            keys=access.keys,
            tokens=access.tokens,
            sessions=access.sessions,
            limiter=limiter,
            limiter_meanwhile=make_fallback_limiter(settings),
            probes=probes.make_probes(settings, parts, client, live),
            positions=live,
            requests=requests,
            routers=(
                *make_routers(settings, parts, client, live),
                *access_routers(parts, live, access),
                telemetry.router,
            ),
            registry=registry,
            lifespan=lifespan,
            yaml=YAML,
        )
    )


def _api_settings(settings: Settings) -> ApiSettings:
    return ApiSettings(
        version=version("convergio"),
        auth_on=settings.auth_on,
        loopback=settings.loopback,
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
        larger_bodies=LARGER_BODIES,
        csv_bodies=CSV_BODIES,
    )

"""The API process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from socket import socket
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from temporalio.client import Client

from adapters.postgres.operations.request_counts import PostgresRequestRecorder
from adapters.postgres.projections.positions import LivePositions
from adapters.redis.rate_limit import RedisRateLimit
from api.app import ApiParts, ApiSettings, create_app
from api.graphflow.definition_requests import YAML
from api.http.server import BoundedHttpProtocol
from api.live.socket_protocol import RefusableSocketProtocol
from domain.approvals import policy_record
from domain.governance.ports import NoRateLimit
from domain.keys.ports import KeyStore
from runtime import temporal
from runtime.backup.recovery import refuse_unreconciled
from runtime.event_loop import freeze_garbage_collector, uvloop_runner
from runtime.observability import make_metrics_push
from runtime.settings import Settings
from runtime.wiring import health_probes as probes
from runtime.wiring.access import Access, access_routers, make_access
from runtime.wiring.knowledge import documents
from runtime.wiring.live import Live, make_live
from runtime.wiring.parts import (
    Parts,
    keys,
    make_answer_store,
    make_fallback_limiter,
    make_parts,
    make_positions,
    make_rate_limiter,
)
from runtime.wiring.routes import billing, people
from runtime.wiring.routes.api import make_routers
from runtime.wiring.run_services import RunServices, make_run_services
from runtime.wiring.telemetry import Telemetry, make_telemetry

if TYPE_CHECKING:
    from adapters.opentelemetry.metrics import MetricsPush

CONNECTIONS = 16
_GRACE_S = 30
MAX_SOCKET_FRAME = 2**20
"""Bytes of a frame that a client may send."""
_PING_S = 20.0
"""Seconds between two pings of a socket, and in which a client has to answer one."""


def run_api(settings: Settings) -> None:
    """Run the process `convergio api`."""
    with uvloop_runner() as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    app = make_app(settings, make_parts(settings, connections=CONNECTIONS), await temporal.connect(settings, lazy=True))
    freeze_garbage_collector()
    await StreamEndingServer(server_config(settings, app)).serve()


def server_config(settings: Settings, app: FastAPI, **more: Any) -> uvicorn.Config:
    """Return the settings of the server: its protocols, and their limits."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedHttpProtocol,
        log_config=None,
        # at "debug" it would show the addresses of sockets as they came, with their tokens
        log_level="info" if settings.log_level == "debug" else settings.log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws=RefusableSocketProtocol,
        ws_max_size=MAX_SOCKET_FRAME,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        ws_per_message_deflate=False,  # a client's small frame must not become a large one here
        timeout_graceful_shutdown=_GRACE_S,
        **more,
    )


class StreamEndingServer(uvicorn.Server):
    """A server that ends open streams before it waits for responses to end: they would never do so by themselves."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        end_streams: Callable[[], Awaitable[None]] = self.config.app.state.end_streams  # type: ignore[union-attr]
        await end_streams()
        await super().shutdown(sockets)


def make_app(settings: Settings, parts: Parts, client: Client, *, known: KeyStore | None = None) -> FastAPI:
    """The API on these parts. It opens them when it starts and closes them when it stops.

    `known` are the keys that it lets in besides created ones, if not those of the settings.
    """
    if not settings.auth_on:
        parts.risks.refuse_without_keys()
    registry = CollectorRegistry()
    positions, access = make_positions(parts), make_access(settings, parts, known or keys(settings))
    services = make_run_services(settings, parts, client, positions)
    running = _Running(
        parts,
        make_rate_limiter(settings),
        positions,
        access,
        services,
        make_live(settings, parts, access, services),
        make_telemetry(settings, registry),
        PostgresRequestRecorder(parts.database),
        make_metrics_push(settings, "api", registry),
    )
    app = create_app(_api_parts(settings, client, running, registry))
    app.state.end_streams = running.live.streams.close
    return app


@dataclass(frozen=True, slots=True)
class _Running:
    """What an API process starts once its database is open, and stops before it closes it."""

    parts: Parts
    limiter: RedisRateLimit | NoRateLimit
    positions: LivePositions
    access: Access
    services: RunServices
    live: Live
    telemetry: Telemetry
    requests: PostgresRequestRecorder
    pushed: "MetricsPush | None"

    async def start(self, refresh_metrics: Callable[[], Awaitable[None]]) -> None:
        """Open the database, refuse what must not run on it, and start the rest.

        Raises:
            Conflict, Unavailable: this process must not, or cannot, serve.
        """
        parts = self.parts
        parts.database.open()
        await asyncio.to_thread(refuse_unreconciled, parts.database)
        await asyncio.to_thread(policy_record.refuse_other, parts.ledger, parts.risks)
        await asyncio.to_thread(parts.signatures.prepare)
        for each in (self.positions, self.access, self.telemetry, self.requests):
            each.start()
        if not isinstance(self.limiter, NoRateLimit):
            await self.limiter.warm()
        if self.pushed is not None:
            self.pushed.start(refresh_metrics)

    async def stop(self) -> None:
        if self.pushed is not None:
            await self.pushed.stop()
        await self.live.close()
        await asyncio.to_thread(self.telemetry.close)
        self.positions.close()
        await self.requests.close()
        await self.access.close()
        if not isinstance(self.limiter, NoRateLimit):
            await self.limiter.close()
        await self.parts.toolbox.aclose()
        await self.parts.model.aclose()
        await self.parts.live.aclose()
        await self.parts.knowledge.models.aclose()
        await asyncio.to_thread(self.parts.database.close)

    @asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        await self.start(app.state.refresh_metrics)
        try:
            yield
        finally:
            await self.stop()


def _api_parts(settings: Settings, client: Client, running: _Running, registry: CollectorRegistry) -> ApiParts:
    parts, access, positions = running.parts, running.access, running.positions
    return ApiParts(
        settings=_api_settings(settings),
        answers=make_answer_store(parts),
        keys=access.keys,
        tokens=access.tokens,
        sessions=access.sessions,
        sockets=running.live.watch,
        limiter=running.limiter,
        limiter_meanwhile=make_fallback_limiter(settings),
        probes=probes.make_probes(settings, parts, client, positions),
        positions=positions,
        requests=running.requests,
        routers=(
            *make_routers(settings, parts, client, positions, running.services),
            *running.live.routers,
            *access_routers(parts, positions, access),
            running.telemetry.router,
        ),
        registry=registry,
        lifespan=running.lifespan,
        yaml=YAML,
    )


def _api_settings(settings: Settings) -> ApiSettings:
    return ApiSettings(
        version=version("convergio"),
        auth_on=settings.auth_on,
        loopback=settings.loopback,
        cors_origins=settings.cors_origins,
        allowed_hosts=settings.allowed_hosts,
        larger_bodies=people.LARGER_BODIES | billing.LARGER_BODIES | documents.LARGER_BODIES,
        csv_bodies=people.CSV_BODIES | billing.CSV_BODIES,
        form_bodies=documents.FORM_BODIES,
    )

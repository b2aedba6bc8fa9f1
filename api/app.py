"""The API as one ASGI application: routes, and the middleware around all of them."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from api.chat.accepted_work import StillWorking
from api.chat.accepted_work import respond_accepted as still_working
from api.health import routes as health
from api.health.platform_metrics import PlatformMetrics
from api.health.service import HealthService, Probes
from api.http import docs, openapi
from api.http import request_context as context
from api.http.access_log import UNTRACED, AccessLog
from api.http.api_keys import KeyAuthenticator
from api.http.dependencies import NoPositions, Positions
from api.http.envelope import Envelope
from api.http.errors import to_failure
from api.http.headers import SingleHeaders
from api.http.hosts_and_cors import CorsPolicy, TrustedHosts
from api.http.idempotency import Idempotency
from api.http.metrics import WebMetrics
from api.http.rate_limit import AccessControl, FallbackRateLimiter
from api.http.request_body import RequestBodies, YamlBodies
from api.http.routing import LiteralRoutes, methods_of
from api.live.access import CallerWatch
from api.live.admission import SocketAdmission, SocketTokens, deny_connection
from domain.errors import DomainError
from domain.governance.ports import NO_RECORDER, FallbackLimiter, NoRateLimit, RateLimiter, RequestRecorder
from domain.idempotency.ports import AnswerStore
from domain.keys.ports import KeyStore, NoSessions, NoTokens, SessionStore, TokenVerifier

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]

_TELEMETRY: TelemetryConfig = {
    "auto_configure": False,
    "exclude": lambda scope: scope.get("path", "").startswith(UNTRACED),
    "logs": False,  # the access log says it, and no exception's text leaves the process
    "metrics": False,
    "operation_spans": False,
}
"""Each request has one span while the process has a tracer provider."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of the web layer; `larger_bodies` in bytes by path, `csv_bodies` the paths that take CSV tables.

    `form_bodies` are those that take forms with files.
    """

    version: str
    auth_on: bool = False
    loopback: bool = True
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    larger_bodies: Mapping[str, int] = field(default_factory=dict)
    csv_bodies: frozenset[str] = frozenset()
    form_bodies: frozenset[str] = frozenset()
    idempotency_wait_s: float = 420.0


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The dependencies of the web layer, and the routes of every concept."""

    settings: ApiSettings
    answers: AnswerStore
    keys: KeyStore
    tokens: TokenVerifier = field(default_factory=NoTokens)
    sessions: SessionStore = field(default_factory=NoSessions)
    limiter: RateLimiter = field(default_factory=NoRateLimit)
    limiter_meanwhile: FallbackLimiter = field(default_factory=NoRateLimit)
    probes: Probes = field(default_factory=Probes)
    positions: Positions = field(default_factory=NoPositions)
    requests: RequestRecorder = NO_RECORDER
    routers: tuple[APIRouter, ...] = ()
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    lifespan: Lifespan | None = None
    yaml: YamlBodies | None = None
    sockets: CallerWatch | None = None
    """Authenticates sockets, and hears of keys that are revoked."""


class ApiApplication(FastAPI):
    """A FastAPI application whose OpenAPI description includes the rules of the web layer."""

    auth_on = False

    def openapi(self) -> dict[str, Any]:
        if not self.openapi_schema:
            self.openapi_schema = openapi.complete_schema(super().openapi(), auth_on=self.auth_on)
        return self.openapi_schema


def create_app(parts: ApiParts) -> FastAPI:
    """Build the web layer. Routers must be flat: each with its full prefix, none including another."""
    metrics = WebMetrics(parts.registry)
    app = ApiApplication(
        title=openapi.TITLE,
        summary=openapi.SUMMARY,
        description=openapi.DESCRIPTION,
        version=parts.settings.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=parts.lifespan,
        middleware=_middleware(parts, metrics),
        telemetry=_TELEMETRY,
    )
    app.auth_on = parts.settings.auth_on
    app.state.positions = parts.positions
    checkup = HealthService(parts.probes, version=parts.settings.version)
    platform = PlatformMetrics(parts.probes, checkup)
    parts.registry.register(platform)
    app.state.refresh_metrics = platform.refresh
    for router in (health.router(checkup, metrics, platform), docs.router(openapi.TITLE), *parts.routers):
        # include_router would match every request twice against every route of the router
        app.router.routes.extend(router.routes)
    app.router.routes.insert(0, LiteralRoutes(app.router.routes))
    for kind in (DomainError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _refuse)
    app.add_exception_handler(StillWorking, still_working)
    return app


def _middleware(parts: ApiParts, metrics: WebMetrics) -> list[Middleware]:
    """Return the middleware in the order in which a request passes it."""
    settings = parts.settings
    identity = KeyAuthenticator(parts.keys, required=settings.auth_on, tokens=parts.tokens, sessions=parts.sessions)
    limiter = FallbackRateLimiter(parts.limiter, parts.limiter_meanwhile, alone=metrics.rate_limit_alone.inc)
    watch = parts.sockets or CallerWatch(identity)
    return [
        Middleware(SocketTokens),
        Middleware(AccessLog, metrics=metrics, requests=parts.requests),
        Middleware(SingleHeaders),
        Middleware(TrustedHosts, hosts=settings.allowed_hosts),
        Middleware(CorsPolicy, origins=settings.cors_origins, loopback=settings.loopback),
        Middleware(AccessControl, identity=identity, limiter=limiter),
        Middleware(SocketAdmission, watch=watch, limiter=limiter),
        Middleware(
            RequestBodies,
            larger=settings.larger_bodies,
            yaml=parts.yaml,
            csv=settings.csv_bodies,
            forms=settings.form_bodies,
        ),
        Middleware(Envelope),
        Middleware(Idempotency, answers=parts.answers, wait_s=settings.idempotency_wait_s),
    ]


async def _refuse(request: Request, error: Exception) -> Response:
    failure = to_failure(error)
    if request.scope["type"] == "websocket":
        await deny_connection(request, failure)
        return Response()  # nobody gets it: a socket was refused
    headers = dict(failure.headers)
    if failure.status == 405:  # noqa: PLR2004  (the framework names the methods of one route only)
        headers["allow"] = ", ".join(methods_of(request.app.routes, request.scope))
    body = failure.body(context.from_scope(request.scope).request_id)
    return Response(body, failure.status, headers, media_type="application/json")

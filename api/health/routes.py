"""Health, and the figures for Prometheus."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Literal, TypeVar

import structlog
from fastapi import APIRouter, Response
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.http import request_context as context
from api.http.dependencies import requires
from api.http.errors import now
from api.http.metrics import CONTENT_TYPE, WebMetrics
from api.http.schemas import View
from domain.health.ports import (
    Probe,
    ProjectionHealth,
    ProjectionsProbe,
    ToolServerHealth,
    ToolServersProbe,
    no_projections,
    no_tool_servers,
)

T = TypeVar("T")

Connection = Literal["connected", "disconnected", "not_configured"]
Status = Literal["healthy", "degraded", "unhealthy"]

ASKED = ("database", "redis", "temporal", "vector_store", "llm")
_VITAL = frozenset({"database", "temporal"})
_MAX_LAG = 1000
"""Events that a projection may be behind before health calls it degraded."""


class ProjectionState(View):
    """One projection: events behind the ledger, and events set aside."""

    name: str
    lag: int
    dead_letters: int


class ToolServerState(View):
    """One configured tool server: tools that it offers, and names of those that it lists in a way that cannot be used.

    Why is in the log, and in `/api/v1/agents/{agent_id}/tools`.
    """

    name: str
    status: Literal["connected", "disconnected"]
    tools: int
    quarantined: list[str]


class Health(View):
    """`unhealthy` when the database or Temporal does not answer, `degraded` when something else is wrong."""

    status: Status
    timestamp: str
    version: str
    database: Connection
    redis: Connection
    temporal: Connection
    vector_store: Connection
    llm: Connection
    projections: list[ProjectionState]
    tool_servers: list[ToolServerState]
    latency_ms: dict[str, float]


class Alive(View):
    """The process answers."""

    status: Literal["alive", "ready"]


@dataclass(frozen=True, slots=True)
class Probes:
    """What can be asked, by the names in `ASKED`; a name that is missing is not configured."""

    servers: Mapping[str, Probe] = field(default_factory=dict)
    projections: ProjectionsProbe = no_projections
    tool_servers: ToolServersProbe = no_tool_servers


class Checkup:
    """Asks everything at once, each within `timeout_s`, and again `cache_s` seconds later at the earliest."""

    def __init__(
        self,
        probes: Probes,
        *,
        version: str,
        timeout_s: float = 2.0,
        cache_s: float = 1.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._probes = probes
        self._version = version
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._last: tuple[float, Health] | None = None
        self._log = structlog.get_logger("convergio.api")

    async def health(self) -> Health:
        async with self._one_at_a_time:
            if self._last is None or self._clock() >= self._last[0] + self._cache_s:
                self._last = (self._clock(), await self._look())
            return self._last[1]

    async def _look(self) -> Health:
        asked = [(name, self._probes.servers[name]) for name in ASKED if name in self._probes.servers]
        answers, projections, tool_servers = await asyncio.gather(
            asyncio.gather(*(self._ask(name, probe) for name, probe in asked)),
            self._told("projections", self._probes.projections),
            self._told("tool servers", self._probes.tool_servers),
        )
        found = dict(zip((name for name, _ in asked), answers, strict=True))
        return Health(
            status=_judged(found, projections, tool_servers),
            timestamp=now(),
            version=self._version,
            **{name: _connection(name, found) for name in ASKED},
            projections=[ProjectionState.model_validate(projection) for projection in projections or ()],
            tool_servers=[_server_state(server) for server in tool_servers or ()],
            latency_ms={name: latency for name, latency in found.items() if latency is not None},
        )

    async def _ask(self, name: str, probe: Probe) -> float | None:
        """Milliseconds to the answer; None when there was none."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                await probe()
        except Exception as error:  # noqa: BLE001  (whatever a probe fails with, it is the finding)
            self._log.warning("health: no answer", server=name, reason=repr(error))
            return None
        return round((perf_counter() - started) * 1000, 2)

    async def _told(self, what: str, probe: Callable[[], Awaitable[Sequence[T]]]) -> Sequence[T] | None:
        """What a probe tells; None when it tells nothing in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await probe()
        except Exception as error:  # noqa: BLE001  (the same)
            self._log.warning(f"health: {what} unknown", reason=repr(error))
            return None


def _server_state(server: ToolServerHealth) -> ToolServerState:
    status: Literal["connected", "disconnected"] = "connected" if server.answers else "disconnected"
    return ToolServerState(name=server.name, status=status, tools=server.tools, quarantined=sorted(server.quarantined))


def _connection(name: str, found: Mapping[str, float | None]) -> Any:
    if name not in found:
        return "not_configured"
    return "disconnected" if found[name] is None else "connected"


def _judged(
    found: Mapping[str, float | None],
    projections: Sequence[ProjectionHealth] | None,
    tool_servers: Sequence[ToolServerHealth] | None,
) -> Status:
    silent = {name for name, latency in found.items() if latency is None}
    if silent & _VITAL:
        return "unhealthy"
    behind = projections is None or any(each.dead_letters or each.lag > _MAX_LAG for each in projections)
    without_tools = tool_servers is None or not all(server.answers for server in tool_servers)
    return "degraded" if silent or behind or without_tools else "healthy"


def router(checkup: Checkup, metrics: WebMetrics) -> APIRouter:
    """`/health`, `/health/live`, `/health/ready` and `/metrics`."""
    routes = APIRouter()

    @routes.get("/health", tags=["Health"], response_model=Health)
    async def health(request: Request) -> Any:
        """Whether the platform and what it stands on answers now. 503 when it is `unhealthy`."""
        found = await checkup.health()
        return found if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/health/live", tags=["Health"])
    async def live() -> Alive:
        """Whether this process answers: nothing else is asked."""
        return Alive(status="alive")

    @routes.get("/health/ready", tags=["Health"], response_model=Alive)
    async def ready(request: Request) -> Any:
        """Whether requests can be served: the database and Temporal answer."""
        found = await checkup.health()
        return Alive(status="ready") if found.status != "unhealthy" else _unavailable(request, found)

    @routes.get("/metrics", tags=["Monitoring"], response_class=_PrometheusText, dependencies=[requires("metrics")])
    async def figures() -> Response:
        """Figures of this process in the Prometheus text format. A key for nothing else will do."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)

    return routes


class _PrometheusText(Response):
    media_type = "text/plain"


def _unavailable(request: Request, found: Health) -> Response:
    """The findings and the error envelope in one body, so that readers of either understand it."""
    findings = found.model_dump(mode="json")
    silent = sorted(name for name in ASKED if findings[name] == "disconnected")
    error = {"code": "SERVICE_UNAVAILABLE", "message": f"no answer from: {', '.join(silent)}", "details": findings}
    envelope = {"success": False, "error": error, "request_id": context.of(request.scope).request_id}
    return JSONResponse({**findings, **envelope}, status_code=503, headers={"retry-after": "2"})

"""Health: all services are probed at once, within a time limit, and summed up in one status."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Literal, TypeVar

import structlog

from api.health.schemas import Health, OpenCircuit, ProjectionState, ProviderState, Status, ToolServerState
from api.http.errors import now
from domain.health.figures import FiguresProbe, QueuesProbe, no_figures, no_queues
from domain.health.ports import (
    CircuitsProbe,
    Probe,
    ProjectionHealth,
    ProjectionsProbe,
    ToolServerHealth,
    ToolServersProbe,
    no_circuits,
    no_projections,
    no_tool_servers,
)

T = TypeVar("T")

PROBED_SERVICES = ("database", "redis", "temporal", "vector_store", "llm")
_REQUIRED = frozenset({"database", "temporal"})
_MAX_LAG = 1000
"""Maximum number of events a projection may be behind before the status is `degraded`."""


@dataclass(frozen=True, slots=True)
class Probes:
    """The probes by the name of their service; a service without a probe is reported as not configured."""

    servers: Mapping[str, Probe] = field(default_factory=dict)
    projections: ProjectionsProbe = no_projections
    tool_servers: ToolServersProbe = no_tool_servers
    providers: Mapping[str, Probe] = field(default_factory=dict)
    circuits: CircuitsProbe = no_circuits
    figures: FiguresProbe = no_figures
    queues: QueuesProbe = no_queues


class HealthService:
    """Probes all services at once, each within `timeout_s` seconds, and caches the result for `cache_s` seconds."""

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

    async def check(self) -> Health:
        async with self._one_at_a_time:
            if self._last is None or self._clock() >= self._last[0] + self._cache_s:
                self._last = (self._clock(), await self._probe_all())
            return self._last[1]

    async def _probe_all(self) -> Health:
        found, providers, projections, tool_servers, circuits = await asyncio.gather(
            self._measure_all({n: self._probes.servers[n] for n in PROBED_SERVICES if n in self._probes.servers}),
            self._measure_all(self._probes.providers),
            self._query("projections", self._probes.projections),
            self._query("tool servers", self._probes.tool_servers),
            self._query("circuits", self._probes.circuits),
        )
        if providers:
            found["llm"] = None if None in providers.values() else max(filter(None, providers.values()), default=0.0)
        is_failing = bool(circuits) or circuits is None
        return Health(
            status="degraded"
            if (status := _judge(found, projections, tool_servers)) == "healthy" and is_failing
            else status,
            timestamp=now(),
            version=self._version,
            **{name: _connection(name, found) for name in PROBED_SERVICES},
            projections=[ProjectionState.model_validate(projection) for projection in projections or ()],
            tool_servers=[_server_state(server) for server in tool_servers or ()],
            providers=[ProviderState(name=name, status=_connection(name, providers)) for name in providers],
            open_circuits=[OpenCircuit.model_validate(circuit) for circuit in circuits or ()],
            latency_ms={name: latency for name, latency in found.items() if latency is not None},
        )

    async def _measure_all(self, probes: Mapping[str, Probe]) -> dict[str, float | None]:
        answers = await asyncio.gather(*(self._measure(name, probe) for name, probe in probes.items()))
        return dict(zip(probes, answers, strict=True))

    async def _measure(self, name: str, probe: Probe) -> float | None:
        """Return the milliseconds until the answer; None if there was none."""
        started = perf_counter()
        try:
            async with asyncio.timeout(self._timeout_s):
                await probe()
        except Exception as error:  # noqa: BLE001  (any failure of a probe is its result)
            self._log.warning("health: no answer", server=name, reason=repr(error))
            return None
        return round((perf_counter() - started) * 1000, 2)

    async def _query(self, what: str, probe: Callable[[], Awaitable[Sequence[T]]]) -> Sequence[T] | None:
        """Return a probe's result; None if it fails or takes too long."""
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


def _judge(
    found: Mapping[str, float | None],
    projections: Sequence[ProjectionHealth] | None,
    tool_servers: Sequence[ToolServerHealth] | None,
) -> Status:
    silent = {name for name, latency in found.items() if latency is None}
    if silent & _REQUIRED:
        return "unhealthy"
    behind = projections is None or any(each.dead_letters or each.lag > _MAX_LAG for each in projections)
    without_tools = tool_servers is None or not all(server.answers for server in tool_servers)
    return "degraded" if silent or behind or without_tools else "healthy"

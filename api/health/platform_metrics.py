"""Prometheus metrics of the platform: what the ledger, the views and Temporal say, the same in every API process."""

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

import structlog
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from api.health.schemas import Health
from api.health.service import PROBED_SERVICES, HealthService, Probes
from domain.health.figures import PlatformFigures, QueueBacklog, WaitingWork

T = TypeVar("T")

_TIMEOUT_S = 5.0
_CACHE_S = 5.0


@dataclass(frozen=True, slots=True)
class _Snapshot:
    health: Health | None = None
    figures: PlatformFigures | None = None
    queues: Sequence[QueueBacklog] | None = None
    taken_at: float = field(default_factory=monotonic)


class PlatformMetrics:
    """A collector of the newest reading. What cannot be read is absent, so nothing shows a figure of long ago."""

    def __init__(self, probes: Probes, checkup: HealthService) -> None:
        self._probes = probes
        self._checkup = checkup
        self._snapshot = _Snapshot(taken_at=-_CACHE_S)
        self._one_at_a_time = asyncio.Lock()
        self._log = structlog.get_logger("convergio.api")

    async def refresh(self) -> None:
        """Read everything, unless it was read within the last seconds."""
        async with self._one_at_a_time:
            if monotonic() >= self._snapshot.taken_at + _CACHE_S:
                health, figures, queues = await asyncio.gather(
                    self._read("health", self._checkup.check()),
                    self._read("figures", self._probes.figures()),
                    self._read("task queues", self._probes.queues()),
                )
                self._snapshot = _Snapshot(health, figures, queues)

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the newest reading."""
        found = self._snapshot
        if found.health is not None:
            yield from _health(found.health)
        if found.figures is not None:
            yield from _counters(found.figures)
            yield from _open_work("turns", "Turns that have not ended, by state.", found.figures.open_turns)
            yield from _open_work(
                "approvals", "Approvals that nobody has decided, by risk.", found.figures.open_approvals
            )
        if found.queues is not None:
            yield from _queues(found.queues)
        up = GaugeMetricFamily("convergio_figures_up", "1 if a source of figures could be read.", labels=["source"])
        up.add_metric(["ledger"], float(found.figures is not None))
        up.add_metric(["temporal"], float(found.queues is not None))
        yield up

    async def _read(self, name: str, reading: Awaitable[T]) -> T | None:
        """Return what is read; None if it fails or takes too long."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await reading
        except Exception as error:  # noqa: BLE001  (any failure of a source is its result, and the others are shown)
            self._log.warning(f"metrics: {name} unknown", reason=repr(error))
            return None


def _health(found: Health) -> Iterator[Metric]:
    service = GaugeMetricFamily("convergio_service_up", "1 if a configured server answers.", labels=["service"])
    for name in PROBED_SERVICES:
        if (state := getattr(found, name)) != "not_configured":
            service.add_metric([name], float(state == "connected"))
    lag = GaugeMetricFamily(
        "convergio_projection_lag_events", "Events that a view does not have yet.", labels=["projection"]
    )
    dead = GaugeMetricFamily(
        "convergio_projection_dead_letters", "Events that a view has set aside.", labels=["projection"]
    )
    for projection in found.projections:
        lag.add_metric([projection.name], projection.lag)
        dead.add_metric([projection.name], projection.dead_letters)
    yield from (service, lag, dead)
    yield from _providers(found)


def _providers(found: Health) -> Iterator[Metric]:
    up = GaugeMetricFamily("convergio_provider_up", "1 if a model provider answers.", labels=["provider"])
    count = GaugeMetricFamily(
        "convergio_circuits_open", "Models of a provider to which no calls are sent for now.", labels=["provider"]
    )
    opened = GaugeMetricFamily("convergio_circuit_open", "1 for each of these models.", labels=["provider", "model"])
    for each in found.providers:
        up.add_metric([each.name], float(each.status == "connected"))
        count.add_metric([each.name], sum(circuit.provider == each.name for circuit in found.open_circuits))
    for circuit in found.open_circuits:
        opened.add_metric([circuit.provider, circuit.model], 1.0)
    yield from (up, count, opened)


def _counters(found: PlatformFigures) -> Iterator[Metric]:
    events = CounterMetricFamily(
        "convergio_events", "Events of the ledger since this process started.", labels=["name"]
    )
    for name, number in sorted(found.events.items()):
        events.add_metric([name], number)
    turns = CounterMetricFamily("convergio_turns", "Turns that ended since this process started.", labels=["outcome"])
    for outcome, number in sorted(found.turns.items()):
        turns.add_metric([outcome], number)
    yield from (events, turns)
    yield from _usage(found)


def _usage(found: PlatformFigures) -> Iterator[Metric]:
    calls = CounterMetricFamily("convergio_model_calls", "Model calls, by their end.", labels=["model", "state"])
    tokens = CounterMetricFamily("convergio_model_tokens", "Tokens of answered calls.", labels=["model", "kind"])
    cost = CounterMetricFamily("convergio_model_cost_usd", "Cost of answered calls, in US dollars.", labels=["model"])
    pending = GaugeMetricFamily(
        "convergio_model_open_cost_usd", "Worst case of calls that run or whose end is unknown.", labels=["model"]
    )
    for usage in found.usage:
        calls.add_metric([usage.model, "answered"], usage.requests)
        calls.add_metric([usage.model, "failed"], usage.failed)
        tokens.add_metric([usage.model, "prompt"], usage.prompt_tokens)
        tokens.add_metric([usage.model, "completion"], usage.completion_tokens)
        cost.add_metric([usage.model], float(usage.cost))
        pending.add_metric([usage.model], float(usage.open_cost))
    yield from (calls, tokens, cost, pending)


def _open_work(kind: str, text: str, found: Sequence[WaitingWork]) -> Iterator[Metric]:
    count = GaugeMetricFamily(f"convergio_{kind}_open", text, labels=["state"])
    oldest = GaugeMetricFamily(f"convergio_{kind}_oldest_seconds", "The age of the oldest of them.", labels=["state"])
    for work in found:
        count.add_metric([work.state], work.count)
        oldest.add_metric([work.state], work.oldest_s)
    yield from (count, oldest)


def _queues(found: Sequence[QueueBacklog]) -> Iterator[Metric]:
    labels = ["queue", "kind"]
    backlog = GaugeMetricFamily("convergio_task_queue_backlog", "Tasks that no worker has taken.", labels=labels)
    oldest = GaugeMetricFamily(
        "convergio_task_queue_oldest_seconds", "How long the oldest of them waits.", labels=labels
    )
    pollers = GaugeMetricFamily("convergio_task_queue_pollers", "Workers that ask for tasks.", labels=labels)
    for state in found:
        place = [state.queue, state.kind]
        backlog.add_metric(place, state.backlog)
        oldest.add_metric(place, state.oldest_s)
        pollers.add_metric(place, state.pollers)
    yield from (backlog, oldest, pollers)

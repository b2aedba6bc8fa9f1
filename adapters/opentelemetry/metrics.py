"""Metrics over OTLP: what a registry of Prometheus holds, sent at an interval."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from math import inf, nan
from time import time_ns
from typing import Any

import structlog
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.samples import Sample

_SCOPE = InstrumentationScope("convergio")
_Labels = tuple[tuple[str, str], ...]


class MetricsPush:
    """Sends the metrics of a registry every `interval_s` seconds, and once more at the end."""

    def __init__(
        self, registry: CollectorRegistry, exporter: MetricExporter, resource: Resource, interval_s: float
    ) -> None:
        self._registry = registry
        self._exporter = exporter
        self._resource = resource
        self._interval_s = interval_s
        self._started_at = time_ns()
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("convergio.metrics")

    def start(self, refresh: Callable[[], Awaitable[None]]) -> None:
        """Begin to send; `refresh` reads what the registry shows of the whole platform, before each time."""
        self._task = asyncio.create_task(self._send_always(refresh))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._send)
        await asyncio.to_thread(self._exporter.shutdown)

    async def _send_always(self, refresh: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await refresh()
            await asyncio.to_thread(self._send)

    def _send(self) -> None:
        """Send all metrics as they are now. A collector that is away misses them: the next values are sums as well."""
        found = to_otlp(self._registry.collect(), self._resource, started_at=self._started_at, now=time_ns())
        if self._exporter.export(found) is not MetricExportResult.SUCCESS:
            self._log.warning("the collector did not take the metrics")


def to_otlp(families: Iterable[Family], resource: Resource, *, started_at: int, now: int) -> MetricsData:
    """Convert families of Prometheus. Times are Unix nanoseconds; counters and histograms count since `started_at`."""
    metrics = [
        Metric(family.name, family.documentation, None, data)
        for family in families
        if (data := _data(family, started_at, now)) is not None
    ]
    scope = ScopeMetrics(_SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])


def _data(family: Family, started_at: int, now: int) -> Gauge | Sum | Histogram | None:
    if family.type == "histogram":
        points = list(_histogram_points(family.samples, started_at, now))
        return Histogram(points, AggregationTemporality.CUMULATIVE) if points else None
    is_counter = family.type == "counter"
    numbers = [
        NumberDataPoint(sample.labels, started_at if is_counter else 0, now, sample.value)
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    if not numbers:
        return None
    return Sum(numbers, AggregationTemporality.CUMULATIVE, is_monotonic=True) if is_counter else Gauge(numbers)


def _histogram_points(samples: Iterable[Sample], started_at: int, now: int) -> Iterator[HistogramDataPoint]:
    """Group the samples by their labels; the buckets of Prometheus are cumulative, those of OTLP are not."""
    groups: dict[_Labels, dict[str, Any]] = defaultdict(lambda: {"buckets": [], "sum": 0.0})
    for sample in samples:
        labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
        if sample.name.endswith("_bucket"):
            groups[labels]["buckets"].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            groups[labels]["sum"] = sample.value
    for labels, group in groups.items():
        bounds = sorted(group["buckets"])
        cumulative = [0, *(count for _, count in bounds)]
        counts = [after - before for before, after in itertools.pairwise(cumulative)]
        yield HistogramDataPoint(
            dict(labels),
            started_at,
            now,
            cumulative[-1],
            group["sum"],
            counts,
            [bound for bound, _ in bounds if bound != inf],
            nan,  # Prometheus knows neither the least value
            nan,  # nor the greatest
        )

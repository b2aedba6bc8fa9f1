"""Metrics of Prometheus as OpenTelemetry has them: the same names, labels and values."""

import math

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics.export import Gauge as GaugeData
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Metric, Sum
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from adapters.opentelemetry.metrics import to_otlp


def converted(registry: CollectorRegistry) -> dict[str, Metric]:
    data = to_otlp(registry.collect(), Resource({}), started_at=5, now=9)
    encode_metrics(data)  # it can be sent
    return {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}


def test_a_counter_is_a_monotonic_sum_since_the_start() -> None:
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ["route"], registry=registry)
    counter.labels("/a").inc(3)
    counter.labels("/b").inc()
    found = converted(registry)["requests"]
    assert isinstance(found.data, Sum)
    assert found.data.is_monotonic
    points = [(dict(each.attributes or {}), each.value, each.start_time_unix_nano) for each in found.data.data_points]
    assert points == [({"route": "/a"}, 3.0, 5), ({"route": "/b"}, 1.0, 5)]


def test_a_gauge_is_a_gauge() -> None:
    registry = CollectorRegistry()
    Gauge("in_flight", "Requests in progress.", registry=registry).set(7)
    found = converted(registry)["in_flight"]
    assert isinstance(found.data, GaugeData)
    assert [each.value for each in found.data.data_points] == [7.0]


def test_the_buckets_of_a_histogram_are_counted_apart() -> None:
    registry = CollectorRegistry()
    histogram = Histogram("seconds", "Seconds.", ["route"], buckets=(1, 2), registry=registry)
    for seconds in (0.5, 0.6, 1.5, 9):
        histogram.labels("/a").observe(seconds)
    found = converted(registry)["seconds"]
    assert isinstance(found.data, HistogramData)
    [point] = found.data.data_points
    assert (dict(point.attributes or {}), point.count, point.sum) == ({"route": "/a"}, 4, 11.6)
    assert (list(point.bucket_counts), list(point.explicit_bounds)) == ([2, 1, 1], [1.0, 2.0])
    assert math.isnan(point.min)
    assert math.isnan(point.max)


def test_a_counter_without_values_is_left_out() -> None:
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ["route"], registry=registry)
    assert converted(registry) == {}

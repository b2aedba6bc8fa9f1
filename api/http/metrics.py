"""Prometheus metrics of this process. Labels are bounded: route templates, never paths or callers."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class WebMetrics:
    """Counts requests, their duration and concurrency, and requests limited without the shared rate limit."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        labels = ("route", "method", "status")
        self._requests = Counter("convergio_http_requests", "Responses sent.", labels, registry=registry)
        self._seconds = Histogram(
            "convergio_http_request_seconds",
            "Seconds from the request to the end of its response.",
            labels[:2],
            buckets=_SECONDS,
            registry=registry,
        )
        self.in_flight = Gauge("convergio_http_requests_in_flight", "Requests in progress.", registry=registry)
        self.rate_limit_alone = Counter(
            "convergio_rate_limit_alone",
            "Requests limited by this process alone: the shared buckets could not be reached.",
            registry=registry,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_response(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one response. An unknown method is counted as `OTHER`."""
        known = self._known.get((route, method, status)) or self._bind_labels(route, method, status)
        known[0].inc()
        known[1].observe(seconds)

    def _bind_labels(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        name = method if method in _METHODS else "OTHER"
        both = self._requests.labels(route, name, str(status)), self._seconds.labels(route, name)
        if name == method:
            self._known[route, method, status] = both
        return both

    def text(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)

"""Prometheus metrics of the intake of this process."""

from prometheus_client import CollectorRegistry, Counter, Gauge


class IntakeMetrics:
    """Counts events by what became of them, and requests that were refused because too much was pending."""

    def __init__(self, registry: CollectorRegistry) -> None:
        events = Counter(
            "convergio_telemetry_events", "Events of telemetry by outcome.", ("outcome",), registry=registry
        )
        self._accepted, self._duplicates = events.labels("accepted"), events.labels("duplicate")
        self.refused = Counter(
            "convergio_telemetry_refused", "Requests refused because too much was pending.", registry=registry
        )
        self.pending = Gauge("convergio_telemetry_pending", "Requests that wait or are processed.", registry=registry)

    def count(self, *, accepted: int, duplicates: int) -> None:
        """Count the events of a request."""
        self._accepted.inc(accepted)
        self._duplicates.inc(duplicates)

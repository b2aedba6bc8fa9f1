"""OpenTelemetry, if the operator names a collector: spans, logs and metrics of a process over OTLP (HTTP).

`OTEL_EXPORTER_OTLP_ENDPOINT` turns it on; the exporters read the other variables of OpenTelemetry themselves, such as
`OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_TRACES_SAMPLER`. A process that is killed loses what it has not sent yet: the
spans and log events of its last seconds.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING
from uuid import uuid4

from structlog.typing import Processor

from runtime.redaction import without_passwords
from runtime.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.trace import Tracer
    from prometheus_client import CollectorRegistry
    from temporalio.client import Interceptor

    from adapters.opentelemetry.metrics import MetricsPush

NAME = "convergio"


def start_observability(settings: Settings, part: str) -> Sequence[Processor]:
    """Begin to export the spans and log events of this process, named `part`. Returns processors for its log events.

    Without a collector there are none, and the SDK of OpenTelemetry is not imported.
    """
    return () if settings.otlp_endpoint is None else _start(part)


@lru_cache(maxsize=1)  # settings are read anew once the servers of a running system are known
def _start(part: str) -> Sequence[Processor]:
    resource = _resource(part)
    _export_spans(resource)
    return _log_processors(resource)


@lru_cache(maxsize=1)
def _resource(part: str) -> "Resource":
    """Describe this process."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  (it takes 40 ms, and only some need it)

    return Resource.create(
        {
            "service.name": f"{NAME}-{part}",
            "service.namespace": NAME,
            "service.version": version(NAME),
            "service.instance.id": str(uuid4()),
        }
    )


def make_metrics_push(settings: Settings, part: str, registry: "CollectorRegistry") -> "MetricsPush | None":
    """Return what sends the metrics of a registry to the collector; None without one."""
    if settings.otlp_endpoint is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415  (the same)

    from adapters.opentelemetry.metrics import MetricsPush  # noqa: PLC0415

    interval_s = settings.metric_export_interval_ms / 1000
    return MetricsPush(registry, OTLPMetricExporter(), _resource(part), interval_s)


def tracer(settings: Settings) -> "Tracer | None":
    """Return the tracer of this process; None without a collector."""
    if settings.otlp_endpoint is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415  (the same)

    return trace.get_tracer(NAME, version(NAME))


def client_interceptors(settings: Settings) -> "list[Interceptor]":
    """Return the interceptors of a Temporal client that carry a span to workflows and activities, and back."""
    found = tracer(settings)
    if found is None:
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor  # noqa: PLC0415  (the same)

    return [TracingInterceptor(found)]


def _export_spans(resource: "Resource") -> None:
    from opentelemetry import trace  # noqa: PLC0415  (the same)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    from adapters.opentelemetry.redaction import QueryRemover  # noqa: PLC0415

    provider = TracerProvider(resource=resource)
    provider.add_span_processor(QueryRemover())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _log_processors(resource: "Resource") -> Sequence[Processor]:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415  (the same)
    from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415

    from adapters.opentelemetry.logs import OtlpLogs, add_trace_ids  # noqa: PLC0415

    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    return (add_trace_ids, OtlpLogs(provider.get_logger(NAME), without_passwords))

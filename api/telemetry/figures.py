"""Sums of telemetry as the API shows them."""

from api.http.dependencies import Page
from api.telemetry.schemas import DistributionView, TelemetryFigures, TelemetryGroup, TelemetryMetrics, TelemetryPoint
from domain.telemetry.ports import TelemetryFilter, TelemetrySums
from domain.telemetry.sums import NO_EVENTS, Distribution, Sums
from domain.telemetry.window import TelemetryWindow


def to_metrics(
    found: TelemetrySums, wanted: TelemetryFilter, window: TelemetryWindow | None, page: Page
) -> TelemetryMetrics:
    """Return the answer to a query."""
    span = wanted.span
    return TelemetryMetrics(
        window=window,
        since=span.start,
        until=span.until,
        interval=span.interval,
        totals=TelemetryFigures(**_figures(found.totals)),
        data=[
            TelemetryGroup(event_type=group.event_type, agent_id=group.agent_id or None, **_figures(group.sums))
            for group in found.groups
        ],
        series=[
            TelemetryPoint(at=point, **_figures(found.series.get(point, NO_EVENTS)))
            for point in sorted({*span.points(), *found.series})
        ],
        **page.listing_fields(found.group_count),
    )


def _figures(sums: Sums) -> dict[str, object]:
    return {
        "count": sums.events,
        "successes": sums.succeeded,
        "failures": sums.failed,
        "success_rate": sums.success_rate,
        "duration_ms": _view(sums.durations),
        "tokens_used": _view(sums.tokens),
    }


def _view(found: Distribution) -> DistributionView | None:
    if not found.count:
        return None
    p50, p95, p99 = (_round(found.quantile(share)) for share in (0.5, 0.95, 0.99))
    return DistributionView(
        count=found.count,
        total=found.total,
        avg=_round(found.mean),
        max=_round(found.largest),
        p50=p50,
        p95=p95,
        p99=p99,
    )


def _round(value: float | None) -> float:
    return round(value or 0.0, 3)

"""Routes of telemetry."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, TypeAdapter

from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, Paged, requires
from api.http.schemas import to_utc
from api.telemetry.cloud_events import BATCHED, STRUCTURED
from api.telemetry.figures import to_metrics
from api.telemetry.schemas import (
    MOST_EVENTS,
    AcceptedTelemetry,
    CloudEventBody,
    TelemetryEventBody,
    TelemetryMetrics,
    TelemetryName,
)
from api.telemetry.service import TelemetryIntake
from domain.errors import Invalid
from domain.telemetry import window as windows
from domain.telemetry.ports import TelemetryFilter, TelemetryReads

_Moment = Annotated[AwareDatetime, AfterValidator(to_utc)]


def _body(model: Any, *, batch: bool | None = None) -> dict[str, Any]:
    """Return the media type of one event, of a batch of them, or of either."""
    one = TypeAdapter(model).json_schema()
    many = {"type": "array", "items": one, "minItems": 1, "maxItems": MOST_EVENTS}
    return {"schema": {"anyOf": [one, many]} if batch is None else many if batch else one}


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _body(TelemetryEventBody),
            STRUCTURED: _body(CloudEventBody, batch=False),
            BATCHED: _body(CloudEventBody, batch=True),
        },
    }
}


@dataclass(frozen=True, slots=True)
class TelemetryQuery:
    """The parameters of a query: the filter, and the window that was named."""

    wanted: TelemetryFilter
    window: windows.TelemetryWindow | None


def router(intake: TelemetryIntake, reads: TelemetryReads, now: Callable[[], datetime]) -> APIRouter:
    """`/telemetry`."""
    routes = APIRouter(prefix="/telemetry", tags=["Telemetry"])

    async def query(
        tenant_id: CurrentTenant,
        *,
        event_type: Annotated[
            TelemetryName | None, Query(alias="type", description="Only events of this type.")
        ] = None,
        agent_id: Annotated[TelemetryName | None, Query(description="Only events of this agent.")] = None,
        window: Annotated[
            windows.TelemetryWindow | None,
            Query(description="The last hour, hours or days; `24h` unless `from` is given."),
        ] = None,
        since: Annotated[_Moment | None, Query(alias="from", description="Included; instead of `window`.")] = None,
        until: Annotated[_Moment | None, Query(alias="to", description="Not included; needs `from`.")] = None,
        interval: Annotated[
            windows.Interval | None,
            Query(description="Of the series: `1m` within the last hour, `1h` for up to 31 days, or `1d` (UTC)."),
        ] = None,
    ) -> TelemetryQuery:
        span = _span(window, since, until, interval, now())
        return TelemetryQuery(TelemetryFilter(tenant_id, span, event_type, agent_id), _window_of(window, since))

    @routes.post("/events", status_code=202, dependencies=[requires("write")], openapi_extra=_BODY)
    async def submit_telemetry(request: CurrentRequest, key: IdempotencyKey) -> AcceptedTelemetry:
        """Records an event, or a list of up to 1,000: all of them, or none.

        A `422` names each bad event (`details.events` has their indexes), a `429` asks to come again after
        `Retry-After`; nothing is recorded then. An event with the `event_id` (and day) of an earlier one is a
        duplicate. CloudEvents 1.0 are accepted in structured, batched and binary mode.
        """
        return await intake.accept(request, key)

    @routes.get("/metrics", dependencies=[requires("read")])
    def telemetry_metrics(page: Paged, query: Annotated[TelemetryQuery, Depends(query)]) -> TelemetryMetrics:
        """Returns counts, success rates and quantiles of events: of all, by type and agent, and over time.

        A quantile p is the smallest value that the share p of the values does not exceed, to within 1% of it.
        """
        return to_metrics(reads.sums(query.wanted, skip=page.skip, limit=page.limit), query.wanted, query.window, page)

    return routes


def _span(
    window: windows.TelemetryWindow | None,
    since: datetime | None,
    until: datetime | None,
    interval: windows.Interval | None,
    now: datetime,
) -> windows.TimeRange:
    if since is None and until is not None:
        raise Invalid("to needs from", field="to", reason="needs from")
    if since is None:
        return windows.recent(window or "24h", interval, now)
    if window is not None:
        raise Invalid("give window or from, not both", field="window", reason="given together with from")
    return windows.between(since, until, interval, now)


def _window_of(window: windows.TelemetryWindow | None, since: datetime | None) -> windows.TelemetryWindow | None:
    return None if since is not None else window or "24h"

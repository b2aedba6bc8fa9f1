"""Request and response models of telemetry."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.http.schemas import Body, Listing, Timestamp, View

MOST_EVENTS = 1_000
"""Maximum events of a request."""
MAX_METADATA = 8 * 1024
"""Maximum bytes of an event's metadata as JSON."""
MAX_DURATION_MS = 1e12
MAX_TOKENS = 10**12

_NAME = r"^[^\x00-\x1f\x7f]+$"
TelemetryName = Annotated[str, Field(min_length=1, max_length=200, pattern=_NAME)]


class TelemetryEventBody(Body):
    """One event. All of its fields but `event_type` are optional."""

    event_type: TelemetryName
    agent_id: Annotated[
        TelemetryName | None, Field(description="Any name: the agent need not be one of this platform.")
    ] = None
    duration_ms: Annotated[float | None, Field(ge=0, le=MAX_DURATION_MS)] = None
    tokens_used: Annotated[int | None, Field(ge=0, le=MAX_TOKENS)] = None
    success: bool | None = None
    metadata: Annotated[
        dict[str, Any], Field(default_factory=dict, description=f"At most {MAX_METADATA} bytes of JSON.")
    ]
    timestamp: Annotated[
        AwareDatetime | None,
        Field(description="When it happened: at most 7 days ago, at most 5 minutes ahead. By default its arrival."),
    ] = None
    event_id: Annotated[TelemetryName | None, Field(description="Tells a repeat, which is not counted again.")] = None


class CloudEventBody(BaseModel):
    """A CloudEvent 1.0. Attributes that are not named here are extensions."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    specversion: Literal["1.0"]
    id: TelemetryName
    source: Annotated[str, Field(min_length=1, max_length=500, pattern=_NAME)]
    type: TelemetryName
    subject: TelemetryName | None = None
    time: AwareDatetime | None = None
    datacontenttype: Annotated[str | None, Field(min_length=1, max_length=200, pattern=_NAME)] = None
    dataschema: Annotated[str | None, Field(min_length=1, max_length=500, pattern=_NAME)] = None
    data: Any = None


class AcceptedTelemetry(View):
    """What became of a request: all of its events are recorded, or were before."""

    status: Literal["accepted"] = "accepted"
    accepted: Annotated[int, Field(description="Events that are recorded now, and counted.")]
    duplicates: Annotated[int, Field(description="Events that were recorded before, and are not counted again.")]


class DistributionView(View):
    """A figure over the events that have it. The quantiles differ from the true ones by 1% of them at most."""

    count: int
    total: float
    avg: float
    max: float
    p50: float
    p95: float
    p99: float


class TelemetryFigures(View):
    """The figures of a set of events.

    `successes` and `failures` count the events that tell `success`; `success_rate` (0 to 1) is the share of successes
    among these, null if there are none. `duration_ms` (milliseconds) and `tokens_used` are null if no event has them.
    """

    count: int
    successes: int
    failures: int
    success_rate: float | None
    duration_ms: DistributionView | None
    tokens_used: DistributionView | None


class TelemetryGroup(TelemetryFigures):
    """The figures of one type of events of one agent; `agent_id` is null where events name none."""

    event_type: str
    agent_id: str | None


class TelemetryPoint(TelemetryFigures):
    """The figures of an interval that begins `at`."""

    at: Timestamp


class TelemetryMetrics(Listing):
    """The figures of a range of time: of all its events, by type and agent (a page), and by interval, without gaps.

    `from` and `to` are the range that the figures are about: rounded outwards to the hour, within the last hour to the
    minute.
    """

    model_config = ConfigDict(populate_by_name=True)

    window: str | None
    since: Annotated[Timestamp, Field(serialization_alias="from")]
    until: Annotated[Timestamp, Field(serialization_alias="to")]
    interval: Literal["1m", "1h", "1d"]
    totals: TelemetryFigures
    data: list[TelemetryGroup]
    series: list[TelemetryPoint]

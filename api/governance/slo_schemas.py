"""Response models of service level objectives and rate limits."""

from typing import Literal

from api.http.schemas import Pagination, Timestamp, View
from domain.governance.objectives import Indicator, Severity


class SloMetrics(View):
    """The indicators over the period; null where nothing was measured.

    `availability`: percent of requests that were not answered with 5xx. `response_time_p95`: seconds from a request to
    the end of its response, of requests that neither wait for a model nor stay open; at most 5 % off. `error_rate`:
    percent of turns that failed through a fault of the platform or of a model provider.
    """

    availability: float | None
    response_time_p95: float | None
    error_rate: float | None
    period: Literal["30d"] = "30d"


class BurnRate(View):
    """How many times as fast as allowed an error budget burns, in a long and in a short window.

    The rule alarms while both are above `threshold`.
    """

    windows: str
    long: float
    short: float
    threshold: float
    alarming: bool


class Objective(View):
    """An objective: `target` is in percent, or of `response_time` in seconds.

    Of `events` in the period `bad` ones missed it: requests answered with 5xx, requests slower than the target, or
    failed turns. `allowed` is the share of bad ones that the objective allows, `budget_left` the part of that which is
    left: 1 is all of it, below 0 the objective is missed.
    """

    indicator: Indicator
    target: float
    events: int
    bad: int
    allowed: float
    budget_left: float | None
    burn_rates: list[BurnRate]


class ClassFigures(View):
    """Requests of a class in the period: `read` and `write` count for the response time, `model` and `stream` do not.

    `response_time_p95` is in seconds.
    """

    name: Literal["read", "write", "model", "stream"]
    requests: int
    failed: int
    response_time_p95: float | None


class SloAlert(View):
    """An alert. `threshold` and `current` are burn rates, or, of the rule `30d`, seconds.

    `id` and `opened_at` are null where the figures are of one tenant: alerts are kept of the whole deployment.
    """

    type: Severity
    message: str
    threshold: float
    current: float
    id: str | None
    indicator: Indicator
    rule: str
    opened_at: Timestamp | None


class SloReport(View):
    """Service level objectives: of the whole deployment for operators (`admin`), else of the caller's tenant."""

    slo_metrics: SloMetrics
    alerts: list[SloAlert]
    scope: Literal["deployment", "tenant"]
    requests: int
    turns: int
    objectives: list[Objective]
    classes: list[ClassFigures]


class AlertRecord(View):
    """An alert with its history: the figures at its opening and at its end."""

    id: str
    type: Severity
    indicator: Indicator
    rule: str
    message: str
    threshold: float
    status: Literal["open", "closed"]
    opened_value: float
    opened_at: Timestamp
    closed_value: float | None
    closed_at: Timestamp | None


class AlertHistory(View):
    """A page of alerts, newest first."""

    data: list[AlertRecord]
    pagination: Pagination


class Consumer(View):
    """A bucket with tokens in use: `caller` is the id of a key, or `client:` and an address.

    `used` tokens were taken and are not refilled yet.
    """

    caller: str
    used: int
    reset: int


class RateLimitStatus(View):
    """The rate limit of the caller: all null where it is off (`enabled`).

    `remaining` tokens can be taken now; at `reset` (Unix seconds) all can. Where the shared buckets cannot be reached,
    `shared` is false, the figures are null, and each API process limits by itself. `top_consumers` is null for callers
    without `admin`, and where the buckets cannot be reached.
    """

    enabled: bool
    shared: bool
    limit: int | None
    window_s: int | None
    remaining: int | None
    reset: int | None
    top_consumers: list[Consumer] | None

"""Service level objectives: indicators over windows, error budgets, burn rates, and what is alarming in them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from domain.governance.request_classes import TIMED, last_bucket_within, seconds_of

Indicator = Literal["availability", "response_time", "error_rate"]
Severity = Literal["warning", "critical"]

PERIOD_S = 30 * 86_400
MINUTE, HOUR, DAY = 60, 3_600, 86_400
WINDOWS_S: tuple[int, ...] = (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, 3 * DAY, PERIOD_S)
SLOW_SHARE = 0.05
"""The share of requests that may take longer than the objective of the 95th percentile."""
MIN_BAD = 10
"""Failures in the long window below which nothing is alarming: one failure of three requests is no trend."""
NEAR = 0.9
"""Share of the objective from which the response time counts as approaching it."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """Availability and error rate in percent, response time in seconds."""

    availability: float = 99.9
    response_time_s: float = 2.0
    error_rate: float = 1.0

    def allowed_share(self, indicator: Indicator) -> float:
        """Return the share of bad events that the objective allows."""
        match indicator:
            case "availability":
                return 1 - self.availability / 100
            case "response_time":
                return SLOW_SHARE
            case "error_rate":
                return self.error_rate / 100


@dataclass(frozen=True, slots=True)
class BurnRule:
    """An alert on two windows: the error budget burns `factor` times as fast as allowed in both of them.

    The short window ends the alert soon after the failures do.
    """

    name: str
    long_s: int
    short_s: int
    factor: float
    severity: Severity


BURN_RULES = (
    BurnRule("1h/5m", HOUR, 5 * MINUTE, 14.4, "critical"),
    BurnRule("6h/30m", 6 * HOUR, 30 * MINUTE, 6.0, "critical"),
    BurnRule("3d/6h", 3 * DAY, 6 * HOUR, 1.0, "warning"),
)
NEAR_RULE = "30d"
"""Name of the rule for a response time that approaches its objective over the period."""
_INDICATORS: tuple[Indicator, ...] = ("availability", "response_time", "error_rate")


@dataclass(slots=True)
class ClassCounts:
    """Requests of one class: how many, how many of them failed, and how many by bucket of duration."""

    requests: int = 0
    failed: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def add(self, bucket: int, count: int, *, failed: bool) -> None:
        self.requests += count
        self.failed += count if failed else 0
        self.buckets[bucket] = self.buckets.get(bucket, 0) + count


@dataclass(slots=True)
class WindowCounts:
    """Requests by class, and turns, in one window."""

    classes: dict[str, ClassCounts] = field(default_factory=dict)
    turns: int = 0
    failed_turns: int = 0

    def ratio(self, indicator: Indicator, objectives: Objectives) -> tuple[int, int]:
        """Return the number of bad events and of all events."""
        match indicator:
            case "availability":
                every = self.classes.values()
                return sum(each.failed for each in every), sum(each.requests for each in every)
            case "response_time":
                within = last_bucket_within(objectives.response_time_s)
                buckets = self._timed_buckets()
                return sum(count for bucket, count in buckets.items() if bucket > within), sum(buckets.values())
            case "error_rate":
                return self.failed_turns, self.turns

    def p95(self) -> float | None:
        """Return the 95th percentile of the platform's own time, in seconds; None without a request."""
        return percentile(self._timed_buckets(), 0.95)

    def _timed_buckets(self) -> dict[int, int]:
        buckets: dict[int, int] = {}
        for name in TIMED:
            for bucket, count in self.classes.get(name, ClassCounts()).buckets.items():
                buckets[bucket] = buckets.get(bucket, 0) + count
        return buckets


def percentile(buckets: Mapping[int, int], share: float) -> float | None:
    """Return a percentile of bucketed durations in seconds, at most 5 % off; None of none."""
    total, below = sum(buckets.values()), 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below >= share * total:
            return seconds_of(bucket)
    return None


def burn_rate(counts: WindowCounts, indicator: Indicator, objectives: Objectives) -> float:
    """Return how many times as fast as allowed the error budget burns; 0 without an event."""
    bad, total = counts.ratio(indicator, objectives)
    return bad / total / objectives.allowed_share(indicator) if total else 0.0


@dataclass(frozen=True, slots=True)
class Condition:
    """Something alarming: `current` has passed `threshold`. A burn rate's unit is 1, the other's is seconds."""

    indicator: Indicator
    rule: str
    severity: Severity
    threshold: float
    current: float


def conditions(windows: Mapping[int, WindowCounts], objectives: Objectives) -> Iterable[Condition]:
    """Return what is alarming now."""
    for indicator in _INDICATORS:
        for rule in BURN_RULES:
            rates = [burn_rate(windows[window], indicator, objectives) for window in (rule.long_s, rule.short_s)]
            bad, _ = windows[rule.long_s].ratio(indicator, objectives)
            if bad >= MIN_BAD and min(rates) > rule.factor:
                yield Condition(indicator, rule.name, rule.severity, rule.factor, rates[0])
    p95 = windows[PERIOD_S].p95()
    if p95 is not None and p95 >= NEAR * objectives.response_time_s and _is_enough(windows[PERIOD_S], objectives):
        yield Condition("response_time", NEAR_RULE, "warning", objectives.response_time_s, p95)


def current_value(
    windows: Mapping[int, WindowCounts], objectives: Objectives, indicator: Indicator, rule: str
) -> float:
    """Return the figure that a rule watches: a burn rate, or the response time in seconds."""
    if rule == NEAR_RULE:
        return windows[PERIOD_S].p95() or 0.0
    long_s = next((each.long_s for each in BURN_RULES if each.name == rule), PERIOD_S)
    return burn_rate(windows[long_s], indicator, objectives)


def describe(indicator: Indicator, rule: str, *, is_over: bool) -> str:
    """Return an alert's message."""
    names = {"availability": "availability", "response_time": "response time", "error_rate": "error rate"}
    if rule == NEAR_RULE:
        return f"Response time {'above' if is_over else 'approaching'} SLO threshold"
    return f"The error budget of the {names[indicator]} burns too fast in the last {rule.replace('/', ' and ')}"


def _is_enough(counts: WindowCounts, objectives: Objectives) -> bool:
    return counts.ratio("response_time", objectives)[1] >= MIN_BAD / SLOW_SHARE

"""Rollups: the sums of all events of one minute, type and agent. Rollups of the same key add up."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.telemetry.event import TelemetryEvent
from domain.telemetry.sketch import EMPTY, Sketch, quantile, sketch_of


@dataclass(frozen=True, slots=True)
class Distribution:
    """How many events have a figure, its sum, its largest value and its sketch."""

    count: int = 0
    total: float = 0
    largest: float | None = None
    sketch: Sketch = EMPTY

    @property
    def mean(self) -> float | None:
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """Return the value that `share` of the values do not exceed; never more than the largest value."""
        found = quantile(self.sketch, share)
        return found if found is None or self.largest is None else min(found, float(self.largest))


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures of a set of events; `succeeded` and `failed` count those that tell."""

    events: int = 0
    succeeded: int = 0
    failed: int = 0
    durations: Distribution = Distribution()
    tokens: Distribution = Distribution()

    @property
    def success_rate(self) -> float | None:
        """The share of successes among the events that tell; None where none does."""
        told = self.succeeded + self.failed
        return self.succeeded / told if told else None


NO_EVENTS = Sums()


@dataclass(frozen=True, slots=True)
class Rollup:
    """The sums of the events of one minute, type and agent."""

    at: datetime
    event_type: str
    agent_id: str
    sums: Sums


def roll_up(events: Iterable[TelemetryEvent]) -> list[Rollup]:
    """Return the rollups of events, in the order of time, type and agent."""
    groups: dict[tuple[datetime, str, str], list[TelemetryEvent]] = {}
    for event in events:
        key = event.at.replace(second=0, microsecond=0), event.event_type, event.agent_id
        groups.setdefault(key, []).append(event)
    return [Rollup(*key, sums_of(groups[key])) for key in sorted(groups)]


def sums_of(events: list[TelemetryEvent]) -> Sums:
    """Return the sums of these events."""
    told = [event.success for event in events if event.success is not None]
    return Sums(
        len(events),
        sum(told),
        len(told) - sum(told),
        _distribution([event.duration_ms for event in events if event.duration_ms is not None]),
        _distribution([event.tokens_used for event in events if event.tokens_used is not None]),
    )


def _distribution(values: list[float] | list[int]) -> Distribution:
    return Distribution(len(values), sum(values), max(values), sketch_of(values)) if values else Distribution()

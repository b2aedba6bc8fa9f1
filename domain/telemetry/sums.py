"""The figures of a set of events. Those of disjoint sets add up."""

from dataclasses import dataclass

from domain.telemetry.sketch import EMPTY, Sketch, quantile


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

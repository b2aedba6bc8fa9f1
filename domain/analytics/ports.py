"""Ports of analytics: its figures, and the reads that return them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from domain.usage import DayOfUsage, UsagePeriod


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """Response times of turns, in seconds; None while there is no turn to time.

    A turn is timed from its (last) start to its answer. Turns that waited for a person are left out. Percentiles are
    exact, interpolated between the two nearest turns.
    """

    average: float | None
    p50: float | None
    p95: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class TurnQuality:
    """How turns ended, and how they were rated.

    Turns of conversations and inside of runs count; those that a person stopped or rejected are in neither count.
    `rating` is the mean of the `ratings` given in the period, the last one of each turn; None while there is none.
    """

    completed: int
    failed: int
    times: ResponseTimes
    ratings: int
    rating: float | None

    @property
    def success_rate(self) -> float | None:
        """The share of completed turns among the completed and failed ones; None while none has ended."""
        ended = self.completed + self.failed
        return self.completed / ended if ended else None


@dataclass(frozen=True, slots=True)
class AgentFigures:
    """What one agent did. Cost, tokens and requests have the definitions of the cost ledger."""

    agent_id: str
    conversations: int
    turns: int
    cost: Decimal
    tokens: int
    requests: int
    quality: TurnQuality


class AnalyticsReads(Protocol):
    """The figures of a tenant, as far as the projections have come. Each raises `Invalid` for an unknown time zone."""

    def today(self, moment: datetime, time_zone: str) -> date:
        """Return the day of the moment in the time zone."""
        ...

    def daily(self, tenant_id: str, period: UsagePeriod) -> list[DayOfUsage]:
        """Return the usage of each day of the period, without gaps."""
        ...

    def quality(self, tenant_id: str, period: UsagePeriod) -> TurnQuality:
        """Return how the turns of all agents ended that started in the period."""
        ...

    def count_agents(self, tenant_id: str, period: UsagePeriod) -> int:
        """Return the number of `agents`, which is cheaper than they are."""
        ...

    def agents(self, tenant_id: str, period: UsagePeriod) -> list[AgentFigures]:
        """Return the agents that did anything in the period, in the order of their ids."""
        ...

"""Ports of telemetry."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from domain.telemetry.event import TelemetryEvent
from domain.telemetry.sums import Sums
from domain.telemetry.window import TimeRange


class TelemetryStore(Protocol):
    """Where events are recorded."""

    def record(self, tenant_id: str, events: Sequence[TelemetryEvent], received: datetime) -> int:
        """Record all events or none, and count each once. Returns the number of those that were not known.

        An event is known if one with its key has been recorded for the same UTC day; if it is not timed, also if that
        was on the day before.

        Raises:
            domain.errors.Unavailable: the database cannot be reached, or is too busy.
            domain.errors.Forbidden: the tenant was erased.
        """
        ...


@dataclass(frozen=True, slots=True)
class TelemetryFilter:
    """The events of one tenant in a range of time; None lets all through."""

    tenant_id: str
    span: TimeRange
    event_type: str | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The sums of one type of events of one agent."""

    event_type: str
    agent_id: str
    sums: Sums


@dataclass(frozen=True, slots=True)
class TelemetrySums:
    """The sums of all matching events, of a page of their groups, and of each interval that has events."""

    totals: Sums
    groups: Sequence[GroupSums]
    group_count: int
    series: dict[datetime, Sums]


class TelemetryReads(Protocol):
    """The sums of recorded events."""

    def sums(self, wanted: TelemetryFilter, *, skip: int, limit: int) -> TelemetrySums:
        """Return all sums as of one moment; groups are in the order of type and agent.

        Raises:
            domain.errors.Unavailable: the database cannot be reached, or is too busy.
        """
        ...


class TelemetryUpkeep(Protocol):
    """What keeps the store small. All of it can be repeated, and interrupted."""

    def merge_rollups(self, now: datetime) -> int:
        """Merge rollups of past minutes into one each, and those of past hours into hours and days.

        Returns the number of rollups that were merged.
        """
        ...

    def create_partitions(self, first: date, last: date) -> None:
        """Create the partitions of these days, the last included."""
        ...

    def drop_before(self, first: date) -> int:
        """Remove all events and rollups of days before this one. Returns the number of partitions dropped."""
        ...

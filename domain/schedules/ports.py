"""Ports of schedules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from domain.schedules.aggregate import ScheduleRecord
from domain.schedules.definition import TargetKind
from domain.schedules.projection import FiringRow, ScheduleRow


@dataclass(frozen=True, slots=True)
class ScheduleFilter:
    """The schedules of one tenant; None lets all of them through."""

    tenant_id: str
    status: Literal["active", "paused"] | None = None
    target_kind: TargetKind | None = None


@dataclass(frozen=True, slots=True)
class NamedSchedule:
    """A schedule with its name, if it has one that was not erased."""

    row: ScheduleRow
    name: str | None


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """A page of schedules, newest first; `total` counts all that match the filter."""

    schedules: list[NamedSchedule]
    total: int


@dataclass(frozen=True, slots=True)
class FiringWithReason:
    """A firing, and the reason why its work was refused, unless it was erased."""

    row: FiringRow
    reason: str | None


@dataclass(frozen=True, slots=True)
class FiringPage:
    """A page of firings, newest first; `total` counts all of the schedule."""

    firings: list[FiringWithReason]
    total: int


class ScheduleReads(Protocol):
    """Schedules and their firings, as far as the projection has come."""

    def page(self, wanted: ScheduleFilter, *, skip: int, limit: int) -> SchedulePage: ...

    def firings(self, schedule_id: str, *, skip: int, limit: int) -> FiringPage: ...

    def count(self, tenant_id: str) -> int:
        """Return the number of schedules of a tenant."""
        ...

    def list_all(self, after: str, limit: int) -> list[ScheduleRow]:
        """Return schedules of all tenants that were not deleted, in the order of their ids, after this one."""
        ...


@dataclass(frozen=True, slots=True)
class TimerState:
    """A schedule as Temporal has it. `revision` is the definition's that it was made of; 0 if it does not say."""

    revision: int
    paused: bool


@dataclass(frozen=True, slots=True)
class TimerForecast:
    """The next times of a schedule, and how many times have passed without a firing, and why.

    `revision` is that of the schedule which they are of.
    """

    revision: int
    next_times: tuple[datetime, ...]
    skipped: int
    missed: int


class ScheduleTimers(Protocol):
    """The schedules in Temporal, which are derived from those in the ledger.

    All methods raise `domain.errors.Unavailable` where Temporal cannot be reached.
    """

    async def put(self, schedule_id: str, schedule: ScheduleRecord) -> None:
        """Create it, or make it be like this."""
        ...

    async def remove(self, schedule_id: str) -> None:
        """Delete it, if it is there."""
        ...

    async def states(self) -> Mapping[str, TimerState]:
        """Return all that are there; one that was created a moment ago may be absent."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduledWork:
    """Work to start: `body` is that of the API's request. It is done as `key_id`, once for each `key`."""

    kind: TargetKind
    body: Mapping[str, Any]
    tenant_id: str
    key_id: str
    because: str
    key: str


@dataclass(frozen=True, slots=True)
class StartedWork:
    """Accepted work: the session, swarm, execution or run, its agent, workflow or runbook; a session's message."""

    kind: TargetKind
    run_id: str
    target_id: str | None = None
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class RefusedWork:
    """Work that was refused, with the API's error code."""

    code: str
    reason: str


class CallerAccess(Protocol):
    """The callers that work is done as."""

    def refuse_ended(self, caller_id: str, tenant_id: str, at: datetime) -> None:
        """Return if the caller may still act in the tenant.

        Raises:
            domain.errors.Unauthenticated: its key is revoked or expired, or the tenant was deleted.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        ...


class WorkStarter(Protocol):
    """Starts work as the API does, with the same acceptance."""

    async def start(self, work: ScheduledWork) -> StartedWork | RefusedWork:
        """Start the work, or join it if this key has started it.

        Raises:
            domain.errors.Unavailable: a server cannot be reached; nothing was started.
        """
        ...

    async def is_over(self, work: StartedWork) -> bool:
        """Return whether the work has ended, however it did."""
        ...

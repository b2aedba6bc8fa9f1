"""The facts that Ali's rules read, gathered from the views at one moment."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

RunKind = Literal["turn", "swarm"]


@dataclass(frozen=True, slots=True)
class DayCost:
    """The cost of one agent on one day (UTC), in US dollars."""

    day: date
    agent_id: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class DayTurns:
    """The turns of one agent that started on one day (UTC) and have ended.

    Turns that a person stopped or rejected are in neither count: they say nothing about the agent.
    """

    day: date
    agent_id: str
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class WaitingApproval:
    """An open approval. Without `expires_at` it waits for ever."""

    approval_id: str
    risk: str
    requested_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A turn or swarm that runs; one that waits for an approval is not included."""

    kind: RunKind
    run_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class UsualDuration:
    """The usual duration of runs of a kind: the 95th percentile, in seconds, of the `finished` ones."""

    kind: RunKind
    finished: int
    p95_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules read, as of `now`."""

    now: datetime
    costs: tuple[DayCost, ...] = ()
    turns: tuple[DayTurns, ...] = ()
    approvals: tuple[WaitingApproval, ...] = ()
    running: tuple[RunningRun, ...] = ()
    usual: tuple[UsualDuration, ...] = ()


class AliReads(Protocol):
    """The views of costs, chats, approvals and swarms, up to their projections' positions."""

    def facts(self, tenant_id: str, now: datetime, *, first: date, most: int) -> Facts:
        """A tenant's days from `first` on, and at most `most` each of its longest waiting approvals, turns, swarms."""
        ...

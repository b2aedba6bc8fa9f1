"""What Ali looks at: facts of the views, gathered at one moment."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

RunKind = Literal["turn", "swarm"]


@dataclass(frozen=True, slots=True)
class DayCost:
    """What one agent cost on one day (UTC), in US dollars."""

    day: date
    agent_id: str
    cost: Decimal


@dataclass(frozen=True, slots=True)
class DayTurns:
    """The turns of one agent that began on one day (UTC) and are over.

    Turns that a person stopped or did not let go are in neither count: they say nothing about the agent.
    """

    day: date
    agent_id: str
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class WaitingApproval:
    """A decision that people still owe. Without `expires_at` it waits for ever."""

    approval_id: str
    risk: str
    requested_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunningRun:
    """A turn or swarm that is being worked on, by nobody's fault but its own: what waits for a person is not here."""

    kind: RunKind
    run_id: str
    since: datetime


@dataclass(frozen=True, slots=True)
class UsualTime:
    """How long runs of a kind take: the 95th percentile, in seconds, of the `finished` ones."""

    kind: RunKind
    finished: int
    p95_s: float


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the rules look at, as it stood at `now`."""

    now: datetime
    costs: tuple[DayCost, ...] = ()
    turns: tuple[DayTurns, ...] = ()
    approvals: tuple[WaitingApproval, ...] = ()
    running: tuple[RunningRun, ...] = ()
    usual: tuple[UsualTime, ...] = ()


class AliReads(Protocol):
    """The views of costs, chats, approvals and swarms, as far as their projections have come."""

    def facts(self, now: datetime, *, first: date, most: int) -> Facts:
        """The days from `first` on, and at most `most` each of the longest waiting approvals, turns and swarms."""
        ...

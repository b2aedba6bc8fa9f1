"""The state of a schedule and the result of one of its steps, as values."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["pending", "running", "completed", "failed", "skipped"]

WAITING, RUNNING, DONE, GONE, SKIPPED, FAILED, EXCEEDED = ".rdgsfx"
"""The letters of nodes. `GONE` failed and took its error edge; `EXCEEDED` would run more often than it may."""
STATUSES: dict[str, Status] = {
    WAITING: "pending",
    RUNNING: "running",
    DONE: "completed",
    GONE: "failed",
    SKIPPED: "skipped",
    FAILED: "failed",
    EXCEEDED: "failed",
}
SETTLED = frozenset({DONE, GONE, SKIPPED})
LIVE, DEAD, NO_TOKEN = "+-."
"""The letters of edges."""


@dataclass(frozen=True, slots=True)
class NodeIteration:
    """One iteration of a node; `visit` counts from 1."""

    node: str
    visit: int


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """The end of a run. `ends` are the end nodes that were reached; `node` and `code` say what failed."""

    status: Literal["completed", "failed", "rejected", "cancelled"]
    ends: tuple[str, ...] = ()
    node: str | None = None
    visit: int | None = None
    code: Literal["NODE_FAILED", "MAX_VISITS", "NO_END"] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """The state of a schedule: a letter for each node and edge, and the iterations of each node. Small, plain JSON."""

    nodes: str
    edges: str
    visits: tuple[int, ...]
    over: RunOutcome | None = None


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """The result of a step. `ready` nodes start now; `skipped` nodes were settled without running in this round."""

    state: ScheduleState
    ready: tuple[NodeIteration, ...] = ()
    skipped: tuple[str, ...] = ()
    over: RunOutcome | None = None

"""Inputs and results of the swarm's activities."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.message_parts import MessagePart
from domain.swarm.events import EndStatus
from domain.swarm.task import Mode


@dataclass(frozen=True)
class SwarmMember:
    """An agent in the version that the swarm pins; `hold` is the risk level at which its answers need an approval."""

    agent_id: str
    agent_version: int
    hold: str | None = None


@dataclass(frozen=True)
class SwarmRunRequest:
    """The request for a swarm, by ids. `deadline` is a time in ISO 8601, `budget_usd` exact text.

    `enclosing_runs` are the runs that the swarm is a part of.
    """

    task_id: str
    mode: Mode
    members: list[SwarmMember]
    coordinator: SwarmMember
    key_id: str
    because: str
    task_hash: str
    rounds: int
    require_approval: bool = False
    context_hash: str | None = None
    deadline: str | None = None
    budget_usd: str | None = None
    project_id: str | None = None
    enclosing_runs: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SwarmSettings:
    """The worker's settings that a swarm's workflow needs."""

    model_queue: str


@dataclass(frozen=True)
class SwarmResultParts:
    """The parts of a swarm's result."""

    task_id: str
    result: list[MessagePart]


@dataclass(frozen=True)
class HeldSwarmResult:
    """A result that waits for an approval."""

    asked: SwarmRunRequest
    approval_id: str
    result_hash: str
    seen: int = 1


@dataclass(frozen=True)
class EndSwarmRequest:
    """The end of a swarm, and its result. `partial`: the result holds only what was completed.

    `seen` is the number of the swarm's events the workflow knows of; 0 when it does not know if the request is
    recorded.
    """

    asked: SwarmRunRequest
    status: EndStatus
    result: list[MessagePart] = field(default_factory=list)
    partial: bool = False
    code: str | None = None
    reason: str | None = None
    seen: int = 0


def seconds_left(asked: SwarmRunRequest, now: datetime) -> float | None:
    """Return the seconds until the deadline, 0 if it has passed; None without one."""
    if asked.deadline is None:
        return None
    return max(0.0, (datetime.fromisoformat(asked.deadline) - now).total_seconds())

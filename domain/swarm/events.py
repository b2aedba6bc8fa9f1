"""Events of a swarm. Its members' contributions are turns, which have events of their own."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.events import Event
from domain.swarm.task import Mode

EndStatus = Literal["completed", "rejected", "failed", "cancelled", "deadline_exceeded", "budget_exceeded"]


class PinnedSwarmAgent(BaseModel):
    """An agent in the version that was deployed at the swarm's request, which the swarm pins.

    `hold` is the risk level at which its answers need an approval; None if they need none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent_id: str
    agent_version: int
    hold: Literal["low", "medium", "high", "critical"] | None = None


class SwarmRequested(Event):
    """A key requested a task to be done by several agents. Money is US dollars."""

    NAME = "swarm.requested"
    task_id: str
    mode: Mode
    members: tuple[PinnedSwarmAgent, ...]
    coordinator: PinnedSwarmAgent
    key_id: str
    task_hash: str
    rounds: int
    require_approval: bool
    context_hash: str | None = None
    deadline: datetime | None = None
    budget_usd: Decimal | None = None
    project_id: str | None = None


class SwarmHeld(Event):
    """There is a result, and it waits for an approval."""

    NAME = "swarm.held"
    task_id: str
    approval_id: str
    result_hash: str


class SwarmEnded(Event):
    """The swarm has ended. `partial`: the result is incomplete. `code` and `reason`: why it did not complete.

    `signature` is a compact JWS.
    """

    NAME = "swarm.ended"
    task_id: str
    status: EndStatus
    result_hash: str | None = None
    partial: bool = False
    code: str | None = None
    reason: str | None = None
    signature: str | None = None


EVENTS: tuple[type[Event], ...] = (SwarmRequested, SwarmHeld, SwarmEnded)

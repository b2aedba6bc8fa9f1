"""Ports of swarms: their agents, and their views."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.swarm.events import PinnedSwarmAgent
from domain.swarm.task import Mode
from domain.swarm.views import SeatRow, Status, SwarmRow


@dataclass(frozen=True, slots=True)
class MemberUsage:
    """The usage of a seat: tokens, and exact US dollars."""

    tokens: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SwarmView:
    """A swarm, its seats in order, and their usage by the cost ledger."""

    row: SwarmRow
    seats: tuple[SeatRow, ...]
    spent: Mapping[str, MemberUsage]
    total: MemberUsage


@dataclass(frozen=True, slots=True)
class SwarmFilter:
    """The swarms of one tenant; None lets all of them through. `agent_id` is a member's or the coordinator's."""

    tenant_id: str
    status: Status | None = None
    mode: Mode | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class SwarmPage:
    """A page of swarms, newest first; `total` counts all that match the filter."""

    swarms: list[SwarmView]
    total: int


class AgentDirectory(Protocol):
    """Look-up of agents."""

    def find_deployed(self, tenant_id: str, names: Iterable[str]) -> Mapping[str, PinnedSwarmAgent]:
        """The deployed agents that a tenant has by these names, ids or aliases; a name that is nobody's is absent."""
        ...


class SwarmReads(Protocol):
    """Swarms, up to the projection's position."""

    def swarm(self, task_id: str) -> SwarmView | None: ...

    def page(self, wanted: SwarmFilter, *, skip: int, limit: int) -> SwarmPage: ...

    def open_swarms(self, before: datetime, limit: int) -> list[SwarmRow]:
        """Swarms of all tenants that have no end and were asked for before this moment, oldest first."""
        ...

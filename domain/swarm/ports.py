"""What swarms need of the outside: their agents, and their views."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.swarm.events import Agent
from domain.swarm.projection import SeatRow, Status, SwarmRow
from domain.swarm.task import Mode


@dataclass(frozen=True, slots=True)
class Spent:
    """What a seat has used: tokens, and US dollars, exact."""

    tokens: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SeenSwarm:
    """A swarm, its seats in order, what each has spent by the books, and all that was spent."""

    row: SwarmRow
    seats: tuple[SeatRow, ...]
    spent: Mapping[str, Spent]
    total: Spent


@dataclass(frozen=True, slots=True)
class SwarmFilter:
    """None lets all through. `agent_id` is a member's or the coordinator's; `key_id` whose swarms are asked for."""

    key_id: str | None = None
    status: Status | None = None
    mode: Mode | None = None
    agent_id: str | None = None


@dataclass(frozen=True, slots=True)
class SwarmPage:
    """Some of the swarms, newest first; `total` counts those that pass the filter."""

    swarms: list[SeenSwarm]
    total: int


class Agents(Protocol):
    """Who can be asked."""

    def deployed(self, names: Iterable[str]) -> Mapping[str, Agent]:
        """The deployed agents by these names, ids or aliases; a name that is nobody's is absent."""
        ...


class SwarmReads(Protocol):
    """Swarms, as far as the projection has come."""

    def swarm(self, task_id: str) -> SeenSwarm | None: ...

    def page(self, wanted: SwarmFilter, *, skip: int, limit: int) -> SwarmPage: ...

    def unended(self, before: datetime, limit: int) -> list[SwarmRow]:
        """Swarms that have no end and were asked for before this moment, oldest first."""
        ...

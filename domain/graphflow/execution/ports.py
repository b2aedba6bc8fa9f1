"""What runs of workflows need of the outside: their views."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.graphflow.execution.projection import ExecutionRow, NodeRow, Status


@dataclass(frozen=True, slots=True)
class Spent:
    """What a node has used: tokens, and US dollars, exact."""

    tokens: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class SeenRun:
    """A run, its nodes in the order of the definition, what each has spent by the books, and all that was spent.

    What swarms and executions inside it have spent counts as their nodes'.
    """

    row: ExecutionRow
    nodes: tuple[NodeRow, ...]
    spent: Mapping[str, Spent] = field(default_factory=dict)
    total: Spent = Spent()


@dataclass(frozen=True, slots=True)
class RunFilter:
    """None lets all through. Runs that are a node of another one are left out unless `parts` are wanted."""

    workflow_id: str | None = None
    key_id: str | None = None
    status: Status | None = None
    parts: bool = False


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some of the runs, newest first; `total` counts those that pass the filter."""

    runs: list[ExecutionRow]
    total: int


class RunReads(Protocol):
    """Runs, as far as the projection has come."""

    def run(self, execution_id: str) -> SeenRun | None: ...

    def newest(self, workflow_id: str, key_id: str | None = None) -> SeenRun | None:
        """The newest run of a workflow; of those that this key has started, if it is given."""
        ...

    def page(self, wanted: RunFilter, *, skip: int, limit: int) -> RunPage: ...

    def unended(self, before: datetime, limit: int) -> list[ExecutionRow]:
        """Runs that have no end and began before this moment, oldest first."""
        ...

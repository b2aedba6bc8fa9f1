"""Ports of workflow runs: their views."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from domain.graphflow.execution.views import ExecutionRow, NodeRow, Status


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """The usage of a node: tokens, and exact US dollars."""

    tokens: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """A run, its nodes in the order of the definition, and their usage by the cost ledger.

    The usage of nested swarms and executions counts as their nodes'.
    """

    row: ExecutionRow
    nodes: tuple[NodeRow, ...]
    spent: Mapping[str, NodeUsage] = field(default_factory=dict)
    total: NodeUsage = NodeUsage()


@dataclass(frozen=True, slots=True)
class RunFilter:
    """The runs of one tenant; None lets all of them through.

    Runs that are a node of another one are left out unless `parts` are wanted.
    """

    tenant_id: str
    workflow_id: str | None = None
    status: Status | None = None
    parts: bool = False


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs, newest first; `total` counts all that match the filter."""

    runs: list[ExecutionRow]
    total: int


class RunReads(Protocol):
    """Runs, up to the projection's position."""

    def run(self, execution_id: str) -> ExecutionView | None: ...

    def newest(self, tenant_id: str, workflow_id: str) -> ExecutionView | None:
        """The newest run of a workflow that this tenant has started."""
        ...

    def page(self, wanted: RunFilter, *, skip: int, limit: int) -> RunPage: ...

    def open_runs(self, before: datetime, limit: int) -> list[ExecutionRow]:
        """Runs of all tenants that have no end and began before this moment, oldest first."""
        ...

"""The rows of workflow runs and their nodes."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from domain.graphflow.execution.events import EndStatus

Status = Literal["running", "paused", "awaiting_approval"] | EndStatus
Undoing = Literal["completed", "failed"]
NodeStatus = Literal[
    "pending", "running", "awaiting_approval", "completed", "rejected", "failed", "cancelled", "skipped"
]


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """A run. `held` of its nodes wait for an approval; `node` is the one that it failed at."""

    TABLE: ClassVar[str] = "executions"
    KEY: ClassVar[tuple[str, ...]] = ("execution_id",)

    execution_id: str
    tenant_id: str
    workflow_id: str
    version: int
    name: str
    status: Status
    key_id: str
    project_id: str | None
    root_id: str
    parent_id: str | None
    input_hash: str
    context_hash: str | None
    output_hash: str | None
    budget_usd: Decimal | None
    node: str | None
    code: str | None
    reason: str | None
    nodes: list[str]
    held: int
    paused: bool
    started_at: datetime
    ended_at: datetime | None
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node of a run, in its newest iteration. `place` is its place in the definition, from 1.

    The output is JSON, or with `as_text` plain text. Of a map's `items`, `items_ended` have ended. `child_id` is the
    nested swarm or execution. `compensated`: its effects were undone; `compensation` is the result of that for all
    iterations, and `compensation_error` the first error.
    """

    TABLE: ClassVar[str] = "execution_nodes"
    KEY: ClassVar[tuple[str, ...]] = ("execution_id", "node")

    execution_id: str
    node: str
    tenant_id: str
    place: int
    type: str
    status: NodeStatus
    visits: int
    attempts: int
    approval_id: str | None
    child_id: str | None
    items: int | None
    items_ended: int
    output_hash: str | None
    as_text: bool
    code: str | None
    error: str | None
    compensated: bool
    started_at: datetime | None
    ended_at: datetime | None
    compensation: Undoing | None = None
    compensation_error: str | None = None

"""Response models of executions."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import orjson

from api.http.schemas import Money, Pagination, Timestamp, View
from domain.graphflow.execution.ports import ExecutionView, NodeUsage
from domain.graphflow.execution.views import ExecutionRow, NodeRow, NodeStatus, Undoing
from domain.graphflow.execution.views import Status as Standing

MAX_OUTPUT = 100_000
"""Maximum characters of a node's output in a response."""

Status = Literal["pending"] | Standing
_ACTIVE = {"running", "awaiting_approval"}
_UNFINISHED = {"pending", *_ACTIVE}


class ExecutionError(View):
    """The reason for which it did not complete, and the node."""

    code: str
    message: str
    node: str | None = None


class ExecutionRef(View):
    """An execution of a workflow, in a version that it keeps."""

    execution_id: str
    workflow_id: str
    version: int
    status: Status


class ExecutionSummary(ExecutionRef):
    """An execution without its texts."""

    name: str
    started_at: Timestamp
    ended_at: Timestamp | None
    duration_s: float
    error: ExecutionError | None
    project_id: str | None


class ExecutionNode(View):
    """A node of an execution, in its newest iteration: `visits` counts iterations, `attempts` those of the newest.

    An output of more than 100,000 characters is `output_cut`, and null. `execution_id` or `task_id` name its child. Of
    a map's `items`, `items_ended` have ended. `compensated`: its work was undone; `compensation` is the result of
    undoing it (null: nothing was undone), `compensation_error` the reason if that failed.
    """

    id: str
    type: str
    status: NodeStatus
    visits: int
    attempts: int
    started_at: Timestamp | None
    ended_at: Timestamp | None
    output: Any
    output_cut: bool
    tokens: int
    cost: Money
    error: ExecutionError | None
    approval_id: str | None
    execution_id: str | None
    task_id: str | None
    items: int | None
    items_ended: int
    compensated: bool
    compensation: Undoing | None
    compensation_error: str | None


class ExecutionStatus(ExecutionSummary):
    """An execution with its nodes. `current_nodes` are running; `progress`, 0 to 1, is 1 once it has completed.

    `signature` is the compact JWS of its end and output.
    """

    progress: float
    current_nodes: list[str]
    nodes: list[ExecutionNode]
    result: Any
    input: Any
    tokens: int
    cost: Money
    budget_usd: Money | None
    parent_id: str | None
    signature: str | None


class ExecutionList(View):
    """Executions of a workflow, newest first."""

    data: list[ExecutionSummary]
    pagination: Pagination


class DeliveredEvent(View):
    """An event that was delivered to an execution."""

    execution_id: str
    event_id: str
    name: str


def to_ref(row: ExecutionRow) -> ExecutionRef:
    return ExecutionRef(
        execution_id=row.execution_id, workflow_id=row.workflow_id, version=row.version, status=status_of(row)
    )


def status_of(row: ExecutionRow) -> Status:
    """Return the status. An execution whose nodes are not known has not begun."""
    return row.status if row.nodes else "pending"


def hashes_of(seen: ExecutionView) -> set[str]:
    """Return the hashes of the texts in the response."""
    own = (seen.row.output_hash, seen.row.input_hash)
    return {text for text in (*own, *(node.output_hash for node in seen.nodes)) if text}


def to_execution_summary(row: ExecutionRow, now: datetime) -> ExecutionSummary:
    return ExecutionSummary.model_validate(_facts(row, now))


def to_execution_status(seen: ExecutionView, texts: Mapping[str, str], now: datetime) -> ExecutionStatus:
    """Return the response for an execution with its texts; erased ones are null."""
    row = seen.row
    own = {
        "progress": _progress(seen),
        "current_nodes": [node.node for node in seen.nodes if node.status in _ACTIVE],
        "nodes": [_to_node(node, seen.spent.get(node.node, NodeUsage()), texts) for node in seen.nodes],
        "result": _parse_json(texts.get(row.output_hash or "")),
        "input": _parse_json(texts.get(row.input_hash)),
        "tokens": seen.total.tokens,
        "cost": seen.total.cost,
        "budget_usd": row.budget_usd,
        "parent_id": row.parent_id,
        "signature": row.signature,
    }
    return ExecutionStatus.model_validate({**_facts(row, now), **own})


def _progress(seen: ExecutionView) -> float:
    if seen.row.status == "completed":
        return 1.0
    ended = sum(node.status not in _UNFINISHED for node in seen.nodes)
    return round(min(ended / len(seen.nodes), 0.99), 2) if seen.nodes else 0.0


def _facts(row: ExecutionRow, now: datetime) -> dict[str, object]:
    is_short = row.ended_at is not None and row.status != "completed"
    return {
        "execution_id": row.execution_id,
        "workflow_id": row.workflow_id,
        "version": row.version,
        "name": row.name,
        "status": status_of(row),
        "started_at": row.started_at,
        "ended_at": row.ended_at,
        "duration_s": round(((row.ended_at or now) - row.started_at).total_seconds(), 3),
        "error": _error(row.code or row.status.upper(), row.reason, row.node) if is_short else None,
        "project_id": row.project_id,
    }


def _to_node(node: NodeRow, spent: NodeUsage, texts: Mapping[str, str]) -> ExecutionNode:
    text = texts.get(node.output_hash or "")
    is_cut = text is not None and len(text) > MAX_OUTPUT
    shown = None if text is None or is_cut else text if node.as_text else _parse_json(text)
    return ExecutionNode(
        id=node.node,
        type=node.type,
        status=node.status,
        visits=node.visits,
        attempts=node.attempts,
        started_at=node.started_at,
        ended_at=node.ended_at,
        output=shown,
        output_cut=is_cut,
        tokens=spent.tokens,
        cost=spent.cost,
        error=_error(node.code, node.error, node.node) if node.code else None,
        approval_id=node.approval_id,
        execution_id=node.child_id if node.type != "swarm" else None,
        task_id=node.child_id if node.type == "swarm" else None,
        items=node.items,
        items_ended=node.items_ended,
        compensated=node.compensated,
        compensation=node.compensation,
        compensation_error=node.compensation_error,
    )


def _error(code: str, message: str | None, node: str | None) -> ExecutionError:
    return ExecutionError(code=code, message=message or "no reason is known", node=node)


def _parse_json(text: str | None) -> Any:
    return orjson.loads(text) if text is not None else None

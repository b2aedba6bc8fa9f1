"""The read model of workflow runs and their nodes."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from domain.events import RecordedEvent
from domain.graphflow.execution.events import (
    AttemptFailed,
    ItemEnded,
    NodeBegun,
    NodeCompensated,
    NodeEnded,
    NodeEvent,
    NodeHeld,
    PlannedNode,
    RunEnded,
    RunPaused,
    RunReopened,
    RunResumed,
    RunStarted,
)
from domain.graphflow.execution.views import ExecutionRow, NodeRow, NodeStatus
from domain.projection import Key, Row, Rows


class ExecutionsProjection:
    """`domain.projection.Projection` of runs."""

    name = "executions"
    kinds: tuple[type[Row], ...] = (ExecutionRow, NodeRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, NodeEvent | RunPaused | RunResumed | RunReopened | RunEnded):
            yield ExecutionRow, (event.execution_id,)
        if isinstance(event, NodeEvent | ItemEnded | NodeCompensated):
            yield NodeRow, (event.execution_id, event.node)
        if isinstance(event, NodeEvent | RunEnded):
            yield from ((NodeRow, (event.execution_id, node)) for node in event.skipped)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case RunStarted() as event:
                _start(event, rows)
            case NodeEvent() as event:
                _node(event, rows)
            case ItemEnded() as event:
                row = _row(rows, event.execution_id, event.node)
                if row.visits == event.visit:
                    rows.put(replace(row, items_ended=row.items_ended + (event.status == "completed")))
            case NodeCompensated() as event:
                row = _row(rows, event.execution_id, event.node)
                rows.put(_apply_compensation(row, event))
            case RunPaused() | RunResumed() as event:
                run = _run(rows, event.execution_id)
                rows.put(_with_status(replace(run, paused=isinstance(event, RunPaused))))
            case RunReopened() as event:
                _reopen(event, rows)
            case RunEnded() as event:
                _end(event, rows)


def _start(event: RunStarted, rows: Rows) -> None:
    rows.put(
        ExecutionRow(
            execution_id=event.execution_id,
            tenant_id=event.tenant_id,
            workflow_id=event.workflow_id,
            version=event.version,
            name=event.name,
            status="running",
            key_id=event.key_id,
            project_id=event.project_id,
            root_id=event.root_id,
            parent_id=event.parent_id,
            input_hash=event.input_hash,
            context_hash=event.context_hash,
            output_hash=None,
            budget_usd=event.budget_usd,
            node=None,
            code=None,
            reason=None,
            nodes=[node.id for node in event.nodes],
            held=0,
            paused=False,
            started_at=event.at,
            ended_at=None,
        )
    )
    for place, node in enumerate(event.nodes, 1):
        rows.put(_new_node(event, node, place))


def _new_node(event: RunStarted, node: PlannedNode, place: int) -> NodeRow:
    return NodeRow(
        execution_id=event.execution_id,
        node=node.id,
        tenant_id=event.tenant_id,
        place=place,
        type=node.type,
        status="pending",
        visits=0,
        attempts=0,
        approval_id=None,
        child_id=None,
        items=None,
        items_ended=0,
        output_hash=None,
        as_text=False,
        code=None,
        error=None,
        compensated=False,
        started_at=None,
        ended_at=None,
    )


def _node(event: NodeEvent, rows: Rows) -> None:
    _skip(event.execution_id, event.skipped, event.at, rows)
    before = _row(rows, event.execution_id, event.node)
    now = _apply_node_event(before, event)
    rows.put(now)
    held = (now.status == "awaiting_approval") - (before.status == "awaiting_approval")
    if held:
        run = _run(rows, event.execution_id)
        rows.put(_with_status(replace(run, held=run.held + held)))


def _apply_node_event(row: NodeRow, event: NodeEvent) -> NodeRow:
    again = row.visits != event.visit
    row = replace(
        row,
        visits=event.visit,
        attempts=event.attempt,
        started_at=event.at if again or row.started_at is None else row.started_at,
        approval_id=None,
        items_ended=0 if again else row.items_ended,
        code=None,
        error=None,
    )
    match event:
        case NodeBegun():
            return replace(row, status="running", child_id=event.child_id, items=event.items, ended_at=None)
        case NodeHeld():
            return replace(row, status="awaiting_approval", approval_id=event.approval_id)
        case AttemptFailed():
            return replace(row, status="running", code=event.code, error=event.error)
        case NodeEnded():
            moved = replace(row, status=event.status, code=event.code, error=event.error, ended_at=event.at)
            return replace(moved, output_hash=event.output_hash, as_text=event.as_text)
    return row


def _apply_compensation(row: NodeRow, event: NodeCompensated) -> NodeRow:
    """Update the compensation: a failure of one iteration must stay visible."""
    if event.status == "failed":
        why = row.compensation_error or event.error
        return replace(row, compensated=False, compensation="failed", compensation_error=why)
    done = row.compensation != "failed"
    return replace(row, compensated=done, compensation="completed" if done else "failed")


def _skip(execution_id: str, skipped: Iterable[str], at: datetime, rows: Rows) -> None:
    for node in skipped:
        rows.put(replace(_row(rows, execution_id, node), status="skipped", ended_at=at))


def _reopen(event: RunReopened, rows: Rows) -> None:
    run = _run(rows, event.execution_id)
    again = replace(run, ended_at=None, code=None, reason=None, node=None, output_hash=None, held=0, paused=False)
    rows.put(replace(again, status="running", signature=None))
    for node in event.nodes:
        row = _row(rows, event.execution_id, node)
        rows.put(replace(row, status="running", code=None, error=None, ended_at=None))


def _end(event: RunEnded, rows: Rows) -> None:
    run = _run(rows, event.execution_id)
    _skip(event.execution_id, event.skipped, event.at, rows)
    for row in rows.several(NodeRow, [(event.execution_id, node) for node in run.nodes]):
        if row.status in _STATUS_AT_END:
            rows.put(
                replace(row, status=_STATUS_AT_END[row.status], approval_id=None, ended_at=row.started_at and event.at)
            )
    rows.put(
        replace(
            run,
            status=event.status,
            output_hash=event.output_hash,
            node=event.node,
            code=event.code,
            reason=event.reason,
            held=0,
            paused=False,
            ended_at=event.at,
            signature=event.signature,
        )
    )


_STATUS_AT_END: dict[NodeStatus, NodeStatus] = {
    "pending": "skipped",
    "running": "cancelled",
    "awaiting_approval": "cancelled",
}
"""The final statuses of nodes that had not started, or were running, when the run ended."""


def _with_status(run: ExecutionRow) -> ExecutionRow:
    if run.ended_at is not None:
        return run
    return replace(run, status="paused" if run.paused else "awaiting_approval" if run.held else "running")


def _run(rows: Rows, execution_id: str) -> ExecutionRow:
    run = rows.get(ExecutionRow, execution_id)
    if run is None:
        raise LookupError(f"execution {execution_id} has not started")
    return run


def _row(rows: Rows, execution_id: str, node: str) -> NodeRow:
    row = rows.get(NodeRow, execution_id, node)
    if row is None:
        raise LookupError(f"execution {execution_id} has no node {node}")
    return row

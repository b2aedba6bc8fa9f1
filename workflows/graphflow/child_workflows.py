"""Child workflows of nodes: a swarm, or the execution of another graph."""

from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import FailureError
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.messages import AttemptStart, EndNodeRequest, NodeAttempt, RunEnd, RunRequest
    from activities.swarm.messages import SwarmRunRequest
    from workflows.graphflow.cancellation import is_being_stopped, is_cancellation
    from workflows.graphflow.failures import describe_failure
    from workflows.graphflow.messages import GraphStart
    from workflows.search_attributes import build_search_attributes
    from workflows.swarm.messages import SwarmEnd, SwarmStart
    from workflows.swarm.workflow import SwarmWorkflow
    from workflows.turn.turn import TurnRunner


async def run_swarm(spot: NodeAttempt, asked: SwarmRunRequest, turns: TurnRunner) -> EndNodeRequest:
    """Run a swarm as a child workflow; its result ends the node.

    Raises:
        FailureError: this task was cancelled, and the swarm with it.
    """
    try:
        over = await workflow.execute_child_workflow(
            SwarmWorkflow.run,
            SwarmStart(asked, turns.call_timeout_s, turns.pause_s),
            id=asked.task_id,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=build_search_attributes(
                "swarm",
                of=asked.task_id,
                agent_id=asked.coordinator.agent_id,
                key_id=asked.key_id,
                project_id=asked.project_id,
            ),
            static_summary=f"Swarm, {asked.mode}, of {spot.asked.execution_id}: {spot.node}"[:160],
        )
    except FailureError as error:
        return _end_failed(spot, error)
    if over.status == "completed":
        return EndNodeRequest(spot, "completed", "swarm", over.result_hash, owner=asked.task_id)
    return _end_incomplete(spot, over)


async def run_subgraph(spot: NodeAttempt, begun: AttemptStart, turns: TurnRunner) -> EndNodeRequest:
    """Run another graph as a child workflow; its output ends the node.

    Raises:
        FailureError: this task was cancelled, and the execution with it.
    """
    asked = begun.run
    if asked is None:
        return EndNodeRequest(
            spot, "failed", code="UNSUPPORTED_NODE", error=f"a {begun.type} node cannot be executed here"
        )
    try:
        over = await workflow.execute_child_workflow(
            "GraphRun",
            GraphStart(asked, turns.call_timeout_s, turns.pause_s),
            id=asked.execution_id,
            result_type=RunEnd,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=build_search_attributes(
                "graph",
                of=asked.execution_id,
                agent_id=asked.workflow_id,
                key_id=asked.key_id,
                project_id=asked.project_id,
            ),
            static_summary=f"Workflow {asked.workflow_id}, of {spot.asked.execution_id}: {spot.node}"[:160],
        )
    except FailureError as error:
        return _end_failed(spot, error)
    if over.status == "completed":
        return EndNodeRequest(spot, "completed", "run", over.output_hash, owner=asked.execution_id)
    return _end_incomplete(spot, over)


async def undo_children(spot: NodeAttempt, children: Sequence[RunRequest], turns: TurnRunner) -> EndNodeRequest:
    """Undo completed child executions one after the other; a failure does not skip the rest.

    Raises:
        FailureError: this task was cancelled.
    """
    left = [over for asked in children if (over := await _undo_child(spot, asked, turns)) is not None]
    return left[0] if left else EndNodeRequest(spot, "completed")


async def _undo_child(spot: NodeAttempt, asked: RunRequest, turns: TurnRunner) -> EndNodeRequest | None:
    """Undo one child execution; None if nothing is left to undo."""
    try:
        over = await workflow.execute_child_workflow(
            "GraphRun",
            GraphStart(asked, turns.call_timeout_s, turns.pause_s, undo=True),
            id=f"{asked.execution_id}/undo",
            result_type=RunEnd,
            cancellation_type=ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            static_summary=f"Undoing {asked.workflow_id}, of {spot.asked.execution_id}: {spot.node}"[:160],
        )
    except FailureError as error:
        return _end_failed(spot, error)
    return None if over.status == "completed" else _end_incomplete(spot, over)


def _end_incomplete(spot: NodeAttempt, over: SwarmEnd | RunEnd) -> EndNodeRequest:
    """Return the node's end for a child that ended without completing."""
    status = "rejected" if over.status == "rejected" else "failed"
    return EndNodeRequest(spot, status, code=over.code or over.status.upper(), error=over.reason or over.status)


def _end_failed(spot: NodeAttempt, error: FailureError) -> EndNodeRequest:
    """Return the node's end for a child that failed; one that somebody else cancelled counts as failed."""
    if is_cancellation(error):
        if is_being_stopped():
            raise error
        return EndNodeRequest(spot, "failed", code="CANCELLED", error="its child workflow was cancelled")
    code, message = describe_failure(error)
    return EndNodeRequest(spot, "failed", code=code, error=message)

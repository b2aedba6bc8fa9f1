"""The end of an execution: completed, failed, or stopped early for a reason."""

import asyncio
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.messages import EndRunRequest, RunEnd
    from domain.errors import DomainError
    from workflows.graphflow.cancellation import is_cancellation
    from workflows.graphflow.failures import describe_failure
    from workflows.graphflow.messages import GraphStart
    from workflows.graphflow.run_ledger import begin_run, record_run_end
    from workflows.graphflow.running_nodes import RunningNodes


@dataclass(frozen=True)
class StopReason:
    """The reason for which an execution ends early."""

    status: str
    reason: str
    code: str | None = None


def find_failure(working: "asyncio.Task[Any]") -> StopReason | None:
    """Return the reason of a failure that ends the execution; programming errors are raised, as they are no end."""
    if working.cancelled() or (error := working.exception()) is None or is_cancellation(error):
        return None
    if isinstance(error, DomainError):
        return StopReason("failed", error.message, type(error).__name__)
    if not isinstance(error, FailureError):
        raise error
    code, message = describe_failure(error)
    return StopReason("failed", f"it could not continue: {message}", code)


async def end_begun(flow: RunningNodes, stop: StopReason | None) -> RunEnd:
    """Undo what a run that does not complete has to undo, and record its end. None of its nodes runs any more."""
    board = flow.board
    flow.settle_rest()
    if board.over is None:
        board.apply(board.schedule.cancel(board.state))
    else:
        stop = None
    over = board.over
    status = stop.status if stop else over.status if over else "failed"
    if status != "completed":
        for visit in board.schedule.nodes_to_compensate(board.completed):
            await flow.visits.undo(visit)
    ending = EndRunRequest(
        flow.visits.asked,
        status,
        ends=list(over.ends) if over else [],
        node=over.node if over else None,
        code=(stop.code if stop else None) or board.code or (over.code if over else None),
        reason=stop.reason if stop else over.reason if over else None,
        skipped=[*board.skipped],
        state=board.to_plain_state(),
    )
    done = await record_run_end(ending)
    board.schedule_update(done.status)
    return done


async def end_unbegun(start: GraphStart, stop: StopReason | None) -> RunEnd:
    """Record the end of an execution that was stopped before it began. One that cannot be reopened stays ended."""
    why_not = stop or StopReason("failed", "it could not begin", "INTERNAL_ERROR")
    if start.reopen is not None and why_not.status != "cancelled":
        return RunEnd(why_not.status, code=why_not.code, reason=why_not.reason)
    await begin_run(start.asked, start.reopen)
    return await record_run_end(EndRunRequest(start.asked, why_not.status, code=why_not.code, reason=why_not.reason))

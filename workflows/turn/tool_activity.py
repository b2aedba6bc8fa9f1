"""The activities of a tool call, as every workflow runs them: the call itself, and the record of its end."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.tools.activities import ToolActivities
    from activities.tools.messages import CloseToolRequest, ToolCallResult, ToolRun
    from workflows.task_queues import IO_QUEUE
    from workflows.timeouts import HEARTBEAT_TIMEOUT, LEDGER_RETRY, LEDGER_TIMEOUT

_RETRY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10))
_MARGIN = timedelta(seconds=60)
"""Time for a call beyond its own limit: a second attempt after its worker is gone, and its record."""


async def call_tool(run: ToolRun, *, timeout_s: float) -> ToolCallResult:
    """Call a tool, for at most `timeout_s` seconds an attempt; a call that does not end in time is recorded as failed.

    Raises:
        ActivityError: the run or the scope around the call is cancelled.
    """
    timeout = timedelta(seconds=timeout_s)
    try:
        return await workflow.execute_activity_method(
            ToolActivities.call_tool,
            run,
            task_queue=IO_QUEUE,
            start_to_close_timeout=timeout + LEDGER_TIMEOUT,
            schedule_to_close_timeout=2 * timeout + _MARGIN,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=_RETRY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=run.name,
        )
    except ActivityError as error:
        if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
            raise
        return await close_tool(
            CloseToolRequest(run, "error", "The tool did not end in time, or could not be reached.")
        )


async def close_tool(closing: CloseToolRequest) -> ToolCallResult:
    """Record the end of a tool call."""
    return await workflow.execute_activity_method(
        ToolActivities.close_tool,
        closing,
        task_queue=IO_QUEUE,
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
        summary=f"{closing.run.name}: {closing.outcome}",
    )

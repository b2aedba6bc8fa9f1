"""Records of an execution in the ledger: its beginning, requests about it, and its end."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.graphflow.execution_activities import RunActivities
    from activities.graphflow.messages import EndRunRequest, RunControlRequest, RunEnd, RunRequest, RunStart
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT


async def begin_run(asked: RunRequest, reopen: RunControlRequest | None) -> RunStart:
    """Record that an execution begins, or that it is reopened."""
    if reopen is None:
        return await workflow.execute_local_activity_method(
            RunActivities.begin_run, asked, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )
    return await workflow.execute_local_activity_method(
        RunActivities.reopen_run,
        args=[asked, reopen],
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
    )


async def begin_undo(asked: RunRequest) -> RunStart:
    """Return the nodes to undo of a completed execution."""
    return await workflow.execute_local_activity_method(
        RunActivities.begin_undo, asked, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )


async def record_request(asked: RunRequest, request: RunControlRequest) -> None:
    """Record that an execution is paused or resumed."""
    await workflow.execute_local_activity_method(
        RunActivities.record_request,
        args=[asked, request],
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
    )


async def record_run_end(ending: EndRunRequest) -> RunEnd:
    """Record the end of an execution."""
    return await workflow.execute_local_activity_method(
        RunActivities.end_run, ending, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
    )

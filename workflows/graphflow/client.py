"""Client of the workflow `GraphRun`: starts executions, sends them requests and events, reads their input."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.graphflow.messages import Request, RunAsked
from domain.errors import Conflict, NotFound
from workflows.graphflow.messages import GraphStart, Heard
from workflows.graphflow.workflow import GraphRun
from workflows.search_attributes import attributes
from workflows.task_queues import FLOW
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, start_input

PREFIX = "exec_"
ANSWER_TIMEOUT_S = 12.0
"""Seconds to wait for a worker to take an update; after that it is sent as a signal."""
_LONGEST_SUMMARY = 160


class GraphRuns:
    """Reaches execution workflows. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, start: GraphStart, name: str) -> bool:
        """Start the workflow of an execution; False when one exists already, running or ended.

        With `reopen` an ended one is started again.
        """
        asked, again = start.asked, start.reopen is not None
        policy = WorkflowIDReusePolicy.ALLOW_DUPLICATE if again else WorkflowIDReusePolicy.REJECT_DUPLICATE
        async with confirmed():
            try:
                await self._client.start_workflow(
                    GraphRun.run,
                    start,
                    id=asked.execution_id,
                    task_queue=FLOW,
                    id_reuse_policy=policy,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    memo={"request_id": start.reopen.because if start.reopen else asked.because},
                    search_attributes=attributes(
                        "graph",
                        of=asked.execution_id,
                        agent_id=asked.workflow_id,
                        key_id=asked.key_id,
                        project_id=asked.project_id,
                    ),
                    static_summary=f"Workflow: {name}"[:_LONGEST_SUMMARY],
                    static_details=f"execution `{asked.execution_id}` of `{asked.workflow_id}` v{asked.version}",
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def tell(self, execution_id: str, request: Request) -> None:
        """Pause, resume or cancel an execution. Recorded when this returns, unless no worker took it in time.

        Raises:
            Conflict: the execution is over.
        """
        run, updates = self._of(execution_id), {"pause": GraphRun.pause, "resume": GraphRun.resume}
        update = updates.get(request.verb, GraphRun.cancel)
        await _answered(
            run.execute_update(update, request, id=f"{request.verb}-{request.because}"),
            otherwise=partial(run.signal, GraphRun.request, request),
        )

    async def hear(self, execution_id: str, heard: Heard) -> None:
        """Deliver an event to an execution.

        Raises:
            Conflict: the execution is over, or too many events wait for a node.
        """
        run = self._of(execution_id)
        await _answered(
            run.execute_update(GraphRun.event, heard, id=heard.event_id),
            otherwise=partial(run.signal, "event", heard),
        )

    async def asked(self, execution_id: str) -> RunAsked:
        """Read an execution's input from the workflow's history, for when no view has it yet.

        Raises:
            NotFound: there is no such execution.
        """
        absent = "there is no such execution"
        if not execution_id.startswith(PREFIX):
            raise NotFound(absent)
        start = await start_input(self._client, execution_id, workflow="GraphRun", of=GraphStart, absent=absent)
        return start.asked

    def _of(self, execution_id: str) -> WorkflowHandle[GraphRun, object]:
        return self._client.get_workflow_handle(execution_id)


async def _answered(update: Awaitable[None], *, otherwise: Callable[[], Awaitable[None]]) -> None:
    """Wait for the update; without an answer in time send the equivalent signal. The workflow executes it once."""
    with reachable():
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await update
        except (TimeoutError, UpdateCancelled):
            await _told(otherwise)
        except WorkflowUpdateFailedError as error:
            raise _refusal(error) from error
        except RPCError as error:
            if error.status in RUN_IS_GONE:
                raise Conflict("this execution is over") from error
            await _told(otherwise)  # the update may have been accepted before the failure; the signal is idempotent


async def _told(signal: Callable[[], Awaitable[None]]) -> None:
    try:
        await signal()
    except RPCError as error:
        if error.status in RUN_IS_GONE:
            raise Conflict("this execution is over") from error
        raise


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in {"Conflict", "AcceptedUpdateCompletedWorkflow"}:
        is_told = cause.type == "Conflict"
        return Conflict(cause.message if is_told else "this execution is over")
    return RuntimeError(f"the execution's workflow failed: {cause}")

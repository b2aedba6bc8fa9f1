"""Client of the workflow `GraphWorkflow`: starts executions, sends them requests and events, reads their input."""

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

from activities.graphflow.messages import RunControlRequest, RunRequest
from domain.errors import Conflict, NotFound
from workflows.graphflow.messages import ExecutionEvent, GraphStart
from workflows.graphflow.workflow import GraphWorkflow
from workflows.search_attributes import build_search_attributes
from workflows.task_queues import WORKFLOW_QUEUE
from workflows.temporal_rpc import RUN_IS_GONE, confirmed, reachable, start_input

PREFIX = "exec_"
ANSWER_TIMEOUT_S = 12.0
"""Seconds to wait for a worker to take an update; after that it is sent as a signal."""
_MAX_SUMMARY = 160


class ExecutionClient:
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
                    GraphWorkflow.run,
                    start,
                    id=asked.execution_id,
                    task_queue=WORKFLOW_QUEUE,
                    id_reuse_policy=policy,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    memo={"request_id": start.reopen.because if start.reopen else asked.because},
                    search_attributes=build_search_attributes(
                        "graph",
                        of=asked.execution_id,
                        agent_id=asked.workflow_id,
                        key_id=asked.key_id,
                        project_id=asked.project_id,
                    ),
                    static_summary=f"Workflow: {name}"[:_MAX_SUMMARY],
                    static_details=f"execution `{asked.execution_id}` of `{asked.workflow_id}` v{asked.version}",
                )
            except WorkflowAlreadyStartedError:
                return False
        return True

    async def send_request(self, execution_id: str, request: RunControlRequest) -> None:
        """Pause, resume or cancel an execution. Recorded when this returns, unless no worker took it in time.

        Raises:
            Conflict: the execution is over.
        """
        run, updates = self._get_handle(execution_id), {"pause": GraphWorkflow.pause, "resume": GraphWorkflow.resume}
        update = updates.get(request.verb, GraphWorkflow.cancel)
        await _update_or_signal(
            run.execute_update(update, request, id=f"{request.verb}-{request.because}"),
            otherwise=partial(run.signal, GraphWorkflow.request, request),
        )

    async def send_event(self, execution_id: str, heard: ExecutionEvent) -> None:
        """Deliver an event to an execution.

        Raises:
            Conflict: the execution is over, or too many events wait for a node.
        """
        run = self._get_handle(execution_id)
        await _update_or_signal(
            run.execute_update(GraphWorkflow.event, heard, id=heard.event_id),
            otherwise=partial(run.signal, "event", heard),
        )

    async def read_input(self, execution_id: str) -> RunRequest:
        """Read an execution's input from the workflow's history, for when no view has it yet.

        Raises:
            NotFound: there is no such execution.
        """
        absent = "there is no such execution"
        if not execution_id.startswith(PREFIX):
            raise NotFound(absent)
        start = await start_input(self._client, execution_id, workflow="GraphRun", of=GraphStart, absent=absent)
        return start.asked

    def _get_handle(self, execution_id: str) -> WorkflowHandle[GraphWorkflow, object]:
        return self._client.get_workflow_handle(execution_id)


async def _update_or_signal(update: Awaitable[None], *, otherwise: Callable[[], Awaitable[None]]) -> None:
    """Wait for the update; without an answer in time send the equivalent signal. The workflow executes it once."""
    with reachable():
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await update
        except (TimeoutError, UpdateCancelled):
            await _send_signal(otherwise)
        except WorkflowUpdateFailedError as error:
            raise _map_failure(error) from error
        except RPCError as error:
            if error.status in RUN_IS_GONE:
                raise Conflict("this execution is over") from error
            await _send_signal(
                otherwise
            )  # the update may have been accepted before the failure; the signal is idempotent


async def _send_signal(signal: Callable[[], Awaitable[None]]) -> None:
    try:
        await signal()
    except RPCError as error:
        if error.status in RUN_IS_GONE:
            raise Conflict("this execution is over") from error
        raise


def _map_failure(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in {"Conflict", "AcceptedUpdateCompletedWorkflow"}:
        is_told = cause.type == "Conflict"
        return Conflict(cause.message if is_told else "this execution is over")
    return RuntimeError(f"the execution's workflow failed: {cause}")

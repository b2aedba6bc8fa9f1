"""Client of the workflow `GraphWorkflow`: starts executions, sends them requests and events, reads their input."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError as UpdateCancelled
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.graphflow.messages import RunControlRequest, RunRequest
from domain.errors import Conflict
from workflows.graphflow.messages import ExecutionEvent, GraphStart
from workflows.graphflow.workflow import GraphWorkflow
from workflows.start_options import RunLabels, start_once
from workflows.temporal_rpc import RUN_IS_GONE, reachable, start_input

PREFIX = "exec_"
ANSWER_TIMEOUT_S = 12.0
"""Seconds to wait for a worker to take an update; after that it is sent as a signal."""
_OVER = "this execution is over"


class ExecutionClient:
    """Reaches execution workflows. Refusals and failures to reach Temporal are raised as `Refused`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, start: GraphStart, name: str) -> bool:
        """Start the workflow of an execution; False when one exists already, running or ended.

        With `reopen` an ended one is started again.
        """
        asked, reopen = start.asked, start.reopen
        labels = RunLabels(
            kind="graph",
            of=asked.execution_id,
            agent_id=asked.workflow_id,
            key_id=asked.key_id,
            request_id=reopen.because if reopen else asked.because,
            summary=f"Workflow: {name}",
            details=f"execution `{asked.execution_id}` of `{asked.workflow_id}` v{asked.version}",
            project_id=asked.project_id,
        )
        return await start_once(self._client, GraphWorkflow.run, start, labels, again=reopen is not None)

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
        start = await start_input(
            self._client, execution_id, prefix=PREFIX, workflow="GraphRun", of=GraphStart, absent=absent
        )
        return start.asked

    def _get_handle(self, execution_id: str) -> WorkflowHandle[GraphWorkflow, object]:
        return self._client.get_workflow_handle(execution_id)


async def _update_or_signal(update: Awaitable[None], *, otherwise: Callable[[], Awaitable[None]]) -> None:
    """Wait for the update; without an answer in time send the equivalent signal. The workflow executes it once."""
    with reachable(over=Conflict(_OVER)):
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await update
        except (TimeoutError, UpdateCancelled):
            await otherwise()
        except WorkflowUpdateFailedError as error:
            raise _map_failure(error) from error
        except RPCError as error:
            if error.status in RUN_IS_GONE:
                raise
            await otherwise()  # the update may have been accepted before the failure; the signal is idempotent


def _map_failure(error: WorkflowUpdateFailedError) -> Exception:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type in {"Conflict", "AcceptedUpdateCompletedWorkflow"}:
        is_told = cause.type == "Conflict"
        return Conflict(cause.message if is_told else _OVER)
    return RuntimeError(f"the execution's workflow failed: {cause}")

"""The open workflows of Temporal, and their termination. None of it needs a worker."""

import asyncio
from collections.abc import Iterable

from temporalio.api.common.v1 import WorkflowExecution as ExecutionRef
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from domain.recovery.policy import TemporalRun

_OPEN = "ExecutionStatus = 'Running'"
_AT_ONCE = 20
_PAGE = 100
_SETTLE_S = 1.0
"""Pause between two lists. The list lags behind the runs, more so when the server has just started."""
_OVER = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION})
_NOT_A_CAUSE = frozenset(
    {
        EventType.EVENT_TYPE_TIMER_FIRED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT,
        EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
    }
)
"""Events that do not mean that anybody has acted."""


class OpenRuns:
    """The open workflows of the client's namespace."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def read(self) -> list[TemporalRun]:
        """Return all open workflows, once the list has stopped to change."""
        listed = await self._list()
        while True:
            await asyncio.sleep(_SETTLE_S)
            again = await self._list()
            if again.keys() == listed.keys():
                break
            listed = again
        found = await asyncio.gather(*(self._describe(run) for run in again.values()))
        return [run for run in found if run is not None]

    async def terminate(self, runs: Iterable[TemporalRun], reason: str) -> None:
        """Terminate these workflows; those that have ended meanwhile are left alone."""
        await asyncio.gather(*(self._terminate(run, reason) for run in runs))

    async def _list(self) -> dict[str, WorkflowExecution]:
        return {run.run_id: run async for run in self._client.list_workflows(_OPEN)}

    async def _describe(self, run: WorkflowExecution) -> TemporalRun | None:
        async with self._slots:
            try:
                seen = await self._client.get_workflow_handle(run.id, run_id=run.run_id).describe()
            except RPCError as error:
                if error.status not in _OVER:
                    raise
                return None
            if seen.status is not WorkflowExecutionStatus.RUNNING:
                return None
            return TemporalRun(
                workflow_id=run.id,
                run_id=run.run_id,
                root_id=seen.root_id or run.id,
                type=run.workflow_type,
                activities=frozenset(each.activity_type.name for each in seen.raw_description.pending_activities),
                is_woken=await self._is_woken(seen),
            )

    async def _is_woken(self, seen: WorkflowExecutionDescription) -> bool:
        """Return True if the workflow has a task to process because something but a timer has happened."""
        if not seen.raw_description.HasField("pending_workflow_task"):
            return False
        request = GetWorkflowExecutionHistoryReverseRequest(
            namespace=self._client.namespace,
            execution=ExecutionRef(workflow_id=seen.id, run_id=seen.run_id),
            maximum_page_size=_PAGE,
        )
        history = await self._client.workflow_service.get_workflow_execution_history_reverse(request)
        for event in history.history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return False
            if event.event_type not in _NOT_A_CAUSE:
                return True
        return True

    async def _terminate(self, run: TemporalRun, reason: str) -> None:
        async with self._slots:
            try:
                await self._client.get_workflow_handle(run.workflow_id, run_id=run.run_id).terminate(reason=reason)
            except RPCError as error:
                if error.status not in _OVER:
                    raise

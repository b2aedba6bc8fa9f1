"""Workflow runs of erased owners: cancelled, awaited, and deleted from Temporal with their histories."""

import asyncio
from collections.abc import Iterable, Sequence

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from domain.erasures.ports import Owner

CLOSE_S = 20.0
"""Seconds that cancelled runs have to close; then they are terminated, and their ends reconciled."""
_AT_ONCE = 10
_OVER = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION})


class RunEraser:
    """The workflow runs of owners of texts."""

    def __init__(self, client: Client, *, close_s: float = CLOSE_S) -> None:
        self._client = client
        self._close_s = close_s
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def inside(self, run_ids: Sequence[str]) -> list[str]:
        """Return the ids of the runs that these have started, at any depth, as far as Temporal remembers."""
        found: set[str] = set()
        for run_id in run_ids:
            async for each in self._client.list_workflows(f"RootWorkflowId = '{run_id}'"):
                found.add(each.id.partition("/")[0])
        return sorted(found)

    async def stop(self, owners: Iterable[Owner]) -> None:
        """Cancel the open runs of these owners, and wait until they have closed, `close_s` seconds at most."""
        workflow_ids = [workflow_id for owner in owners if (workflow_id := workflow_id_of(owner)) is not None]
        await asyncio.gather(*(self._cancel(workflow_id) for workflow_id in workflow_ids))
        end = asyncio.get_running_loop().time() + self._close_s
        await asyncio.gather(*(self._await_closed(workflow_id, end) for workflow_id in workflow_ids))

    async def delete(self, workflow_id: str) -> int:
        """Delete all runs of a workflow and of those inside it; an open one is terminated. Returns their number."""
        condition = f"WorkflowId = '{workflow_id}' OR WorkflowId STARTS_WITH '{workflow_id}/'"
        async with self._slots:
            runs = [(run.id, run.run_id) async for run in self._client.list_workflows(condition)]
            return sum([await self._delete(*run) for run in runs])

    async def _delete(self, workflow_id: str, run_id: str) -> bool:
        execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=execution)
        try:
            await self._client.workflow_service.delete_workflow_execution(request)
        except RPCError as error:
            if error.status not in _OVER:
                raise
            return False
        return True

    async def _cancel(self, workflow_id: str) -> None:
        async with self._slots:
            try:
                await self._client.get_workflow_handle(workflow_id).cancel()
            except RPCError as error:
                if error.status not in _OVER:
                    raise

    async def _await_closed(self, workflow_id: str, end: float) -> None:
        async with self._slots:
            try:
                async with asyncio.timeout_at(end):
                    await self._client.get_workflow_handle(workflow_id).result()
            except (TimeoutError, WorkflowFailureError):
                return
            except RPCError as error:
                if error.status not in _OVER:
                    raise


def workflow_id_of(owner: Owner) -> str | None:
    """Return the id of the workflow that works for an owner, if there can be one."""
    match owner.kind:
        case "session":
            return f"chat-{owner.id}"
        case "run":
            return owner.id
        case _:
            return None

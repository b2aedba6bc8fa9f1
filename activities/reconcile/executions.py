"""Reconciles workflow executions after crashes: those that Temporal has lost are recorded as failed."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.graphflow.execution_stream import RunStreams
from activities.reconcile.activities import LOST_AFTER, MOST
from domain.events import Cause
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.events import RunEnded
from domain.graphflow.execution.ports import RunReads
from domain.graphflow.execution.views import ExecutionRow


class RunReconciler:
    """The activity of the `ReconcileWorkflow` workflow for workflow executions."""

    def __init__(self, journal: RunStreams, reads: RunReads, client: Client, now: Callable[[], datetime]) -> None:
        self._journal = journal
        self._reads = reads
        self._client = client
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_runs]

    @activity.defn(name="reconcile_runs")
    async def reconcile_runs(self) -> int:
        """End runs that are open by the ledger and not by Temporal. Returns their number."""
        return len(await self.lose_runs())

    async def lose_runs(self) -> list[str]:
        """Do so, and return their ids."""
        rows = await to_thread(self._reads.open_runs, self._now() - LOST_AFTER, MOST)
        lost = [row for row in rows if not await self._is_running(row.execution_id)]
        for row in lost:
            await to_thread(self.lose, row)
        return [row.execution_id for row in lost]

    def lose(
        self, row: ExecutionRow, *, code: str = "INTERNAL_ERROR", reason: str = "the run that worked on it was lost"
    ) -> None:
        """End a run as failed. A reopened run that has made no progress since can be reopened again."""
        known = self._journal.read(row.execution_id)
        event = RunEnded(
            execution_id=row.execution_id,
            status="failed",
            code=code,
            reason=reason,
            state=dict(known.stood) if known.stood and not known.moved else None,
            **Cause("platform", "reconcile", self._now(), row.tenant_id).fields(),
        )
        self._journal.write(row.execution_id, lambda run: (runs.end(run, event), []), key=f"lose:{known.version}")

    async def _is_running(self, execution_id: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(execution_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status is WorkflowExecutionStatus.RUNNING

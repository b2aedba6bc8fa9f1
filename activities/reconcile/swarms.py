"""Reconciles swarms after crashes: those whose workflow is lost are recorded as failed, with a partial result."""

from asyncio import to_thread
from collections.abc import Callable
from datetime import datetime

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.activities import LOST_AFTER, MOST
from activities.swarm.activities import SwarmActivities
from domain.swarm.ports import SwarmReads


class SwarmReconciler:
    """The activity of the `ReconcileWorkflow` workflow for swarms."""

    def __init__(self, swarms: SwarmActivities, reads: SwarmReads, client: Client, now: Callable[[], datetime]) -> None:
        self._swarms = swarms
        self._reads = reads
        self._client = client
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_swarms]

    @activity.defn(name="reconcile_swarms")
    async def reconcile_swarms(self) -> int:
        """End swarms that are open by the ledger and not by Temporal. Returns their number."""
        return len(await self.lose_swarms())

    async def lose_swarms(self) -> list[str]:
        """Do so, and return their ids."""
        rows = await to_thread(self._reads.open_swarms, self._now() - LOST_AFTER, MOST)
        lost = [row.task_id for row in rows if not await self._is_running(row.task_id)]
        for task_id in lost:
            seen = await to_thread(self._reads.swarm, task_id)
            if seen is not None:
                await to_thread(self._swarms.lose, seen)
        return lost

    async def _is_running(self, task_id: str) -> bool:
        try:
            found = await self._client.get_workflow_handle(task_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return found.status is WorkflowExecutionStatus.RUNNING

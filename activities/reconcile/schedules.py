"""Reconciles schedules after crashes: Temporal gets those that it lacks, and loses those that were deleted."""

from collections.abc import Callable

from temporalio import activity

from activities.schedules.settlement import ScheduleSettlement
from domain.schedules.ports import ScheduleReads


class ScheduleReconciler:
    """The activity of the `ReconcileWorkflow` workflow for schedules."""

    def __init__(self, settlement: ScheduleSettlement, reads: ScheduleReads) -> None:
        self._settlement = settlement
        self._reads = reads

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_schedules]

    @activity.defn(name="reconcile_schedules")
    async def reconcile_schedules(self) -> int:
        """Settle the schedules that Temporal has otherwise than the ledger. Returns their number."""
        return await self._settlement.settle_all(self._reads)

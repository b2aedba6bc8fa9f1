"""Reconciliation, each minute: overdue reservations, lost turns, swarms, executions, erasures, schedules; telemetry."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.costs.alert_evaluation import CostAlertActivities
    from activities.governance.objectives import ObjectiveActivities
    from activities.reconcile.activities import ReconcileActivities, ReconcileResult
    from activities.reconcile.documents import DocumentReconciler
    from activities.reconcile.erasures import ErasureReconciler
    from activities.reconcile.executions import RunReconciler
    from activities.reconcile.runbooks import RunbookReconciler
    from activities.reconcile.schedules import ScheduleReconciler
    from activities.reconcile.swarms import SwarmReconciler
    from activities.reconcile.telemetry import TelemetryKeeper

SCHEDULE_ID = "convergio-reconcile"


@workflow.defn(name="Reconcile")
class ReconcileWorkflow:
    """One reconciliation."""

    @workflow.run
    async def run(self) -> ReconcileResult:
        """Reconcile model calls first, then turns, swarms, executions, schedules and erasures; telemetry is last."""
        calls = await workflow.execute_activity_method(
            ReconcileActivities.reconcile_calls,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="overdue reservations",
        )
        turns = await workflow.execute_activity_method(
            ReconcileActivities.reconcile_turns,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="turns whose workflow is lost",
        )
        return ReconcileResult(
            calls.calls,
            turns.turns,
            await self._reconcile_swarms(),
            await self._reconcile_executions(),
            await self._reconcile_schedules(),
            await self._reconcile_erasures(),
            await self._reconcile_runbooks(),
            await self._evaluate_objectives() + await self._evaluate_cost_alerts(),
            await self._keep_telemetry(),
            await self._reconcile_documents(),
        )

    async def _reconcile_swarms(self) -> int:
        if not workflow.patched("swarms"):
            return 0
        return await workflow.execute_activity_method(
            SwarmReconciler.reconcile_swarms,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="swarms whose workflow is lost",
        )

    async def _reconcile_executions(self) -> int:
        if not workflow.patched("runs"):
            return 0
        return await workflow.execute_activity_method(
            RunReconciler.reconcile_runs,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="executions whose workflow is lost",
        )

    async def _reconcile_schedules(self) -> int:
        if not workflow.patched("schedules"):
            return 0
        return await workflow.execute_activity_method(
            ScheduleReconciler.reconcile_schedules,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="schedules that Temporal has otherwise",
        )

    async def _reconcile_erasures(self) -> int:
        if not workflow.patched("erasures"):
            return 0
        return await workflow.execute_activity_method(
            ErasureReconciler.reconcile_erasures,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="erasures that do not run",
        )

    async def _reconcile_runbooks(self) -> int:
        if not workflow.patched("runbooks"):
            return 0
        return await workflow.execute_activity_method(
            RunbookReconciler.reconcile_runbooks,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="runbooks that do not run",
        )

    async def _evaluate_objectives(self) -> int:
        if not workflow.patched("objectives"):
            return 0
        return await workflow.execute_activity_method(
            ObjectiveActivities.evaluate_objectives,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="service level objectives",
        )

    async def _evaluate_cost_alerts(self) -> int:
        if not workflow.patched("cost_alerts"):
            return 0
        return await workflow.execute_activity_method(
            CostAlertActivities.evaluate_cost_alerts,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="alerts on cost",
        )

    async def _keep_telemetry(self) -> int:
        if not workflow.patched("telemetry"):
            return 0
        return await workflow.execute_activity_method(
            TelemetryKeeper.keep_telemetry,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(seconds=50),  # the next reconciliation tries again
            summary="rollups and partitions of telemetry",
        )

    async def _reconcile_documents(self) -> int:
        if not workflow.patched("documents"):
            return 0
        return await workflow.execute_activity_method(
            DocumentReconciler.reconcile_documents,
            start_to_close_timeout=timedelta(seconds=50),
            schedule_to_close_timeout=timedelta(minutes=5),
            summary="documents that are not being indexed",
        )

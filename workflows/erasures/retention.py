"""Retention, each hour: erasures of what is past its period."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erasures.retention import RetentionActivities, RetentionResult
    from workflows.timeouts import HEARTBEAT_TIMEOUT

SCHEDULE_ID = "convergio-retention"


@workflow.defn(name="Retention")
class RetentionWorkflow:
    """One application of the retention periods of all tenants."""

    @workflow.run
    async def run(self) -> RetentionResult:
        """Request the erasures. Returns their number."""
        return await workflow.execute_activity_method(
            RetentionActivities.apply_retention,
            start_to_close_timeout=timedelta(minutes=30),
            schedule_to_close_timeout=timedelta(minutes=50),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            summary="texts past their period",
        )

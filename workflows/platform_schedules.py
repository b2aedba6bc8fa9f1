"""The platform's own schedules in Temporal: reconciliation each minute, retention each hour."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from workflows.erasures import retention
from workflows.reconcile import workflow as reconcile
from workflows.search_attributes import KIND_ATTRIBUTE
from workflows.task_queues import WORKFLOW_QUEUE


@dataclass(frozen=True, slots=True)
class PlatformSchedule:
    """A workflow without input that runs at an interval, and is skipped while its last run goes on."""

    schedule_id: str
    workflow: str
    workflow_id: str
    every: timedelta
    summary: str


SCHEDULES = (
    PlatformSchedule(
        reconcile.SCHEDULE_ID, "Reconcile", "reconcile", timedelta(minutes=1), "Reconcile the ledger after crashes"
    ),
    PlatformSchedule(
        retention.SCHEDULE_ID, "Retention", "retention", timedelta(hours=1), "Erase texts past their retention period"
    ),
)


async def ensure_schedules(client: Client) -> None:
    """Create or update the platform's schedules. Idempotent."""
    for each in SCHEDULES:
        await _ensure(client, each.schedule_id, _schedule(each))


async def _ensure(client: Client, schedule_id: str, schedule: Schedule) -> None:
    try:
        await client.create_schedule(schedule_id, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(lambda _: ScheduleUpdate(schedule))


def _schedule(described: PlatformSchedule) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            described.workflow,
            id=described.workflow_id,
            task_queue=WORKFLOW_QUEUE,
            static_summary=described.summary,
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(KIND_ATTRIBUTE, described.workflow_id)]),
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=described.every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )

"""Composes runbooks: their service, their routes, and the activities of their workflow."""

from collections.abc import Callable
from functools import partial

from fastapi import APIRouter
from temporalio.client import Client
from temporalio.service import RPCError

from activities.approvals.messages import ApprovalDecision
from activities.reconcile.runbooks import RunbookReconciler
from activities.runbooks.activities import RunbookActivities
from activities.runbooks.backups import BackupSteps
from activities.runbooks.overdue_approvals import ApprovalSteps
from activities.runbooks.projections import ProjectionSteps
from activities.runbooks.signing_key import SigningKeySteps
from activities.runbooks.storage import StorageSteps
from activities.runbooks.workers import WorkerSteps
from adapters.postgres.operations.projections import PostgresProjections
from adapters.postgres.operations.runbooks import PostgresRunbooks
from adapters.postgres.operations.tables import PostgresTables
from adapters.postgres.operations.worker_drains import PostgresWorkerDrains
from adapters.redis.caches import RedisCaches
from api.governance import runbook_routes
from api.governance.runbook_service import RunbookService
from api.http.dependencies import Positions
from domain.runbooks.commands import RunbookCommands
from runtime.backup.maintenance import KeptBackups
from runtime.settings import Settings
from runtime.wiring.knowledge.upkeep import knowledge_steps
from runtime.wiring.parts import Parts, now
from runtime.wiring.projections import projections
from workflows.approvals.messages import DECIDED_SIGNAL
from workflows.approvals.start import start_approval
from workflows.queue_states import TemporalTaskQueues
from workflows.runbooks.client import RunbookClient
from workflows.task_queues import IO_QUEUE, WORKFLOW_QUEUE, model_queue
from workflows.temporal_rpc import RUN_IS_GONE


def make_runbook_service(parts: Parts, client: Client, positions: Positions) -> RunbookService:
    """Return the service that requests and shows runs."""
    return RunbookService(
        RunbookCommands(parts.ledger),
        RunbookClient(client),
        PostgresRunbooks(parts.database),
        projections=_projections(parts),
        tables=PostgresTables(parts.database),
        positions=positions,
    )


def runbook_router(runbooks: RunbookService) -> APIRouter:
    """Return the router of runbooks."""
    return runbook_routes.router(runbooks, now)


def make_task_queues(parts: Parts, client: Client) -> TemporalTaskQueues:
    """Return the task queues of this deployment."""
    calls = [model_queue(each.name) for each in parts.providers]
    return TemporalTaskQueues(client, [WORKFLOW_QUEUE, *calls, IO_QUEUE])


def runbook_activities(settings: Settings, parts: Parts, client: Client) -> list[Callable[..., object]]:
    """Return the activities of runbooks, and the one that reconciles them."""
    groups = (
        ProjectionSteps(_projections(parts)),
        StorageSteps(PostgresTables(parts.database), RedisCaches(settings.redis_url)),
        ApprovalSteps(
            parts.ledger,
            parts.approvals,
            now,
            start=partial(start_approval, client),
            notify=partial(_notify_waiter, client),
            notices=parts.webhooks is not None,
        ),
        SigningKeySteps(parts.signatures.reader, parts.signatures.keys, now),
        BackupSteps(KeptBackups(settings)),
        knowledge_steps(parts, client),
        WorkerSteps(make_task_queues(parts, client), PostgresWorkerDrains(parts.database), now),
    )
    return [
        *RunbookActivities(parts.ledger, parts.content, groups, now).all(),
        *RunbookReconciler(PostgresRunbooks(parts.database), RunbookClient(client).start).all(),
    ]


def _projections(parts: Parts) -> PostgresProjections:
    return PostgresProjections(parts.database, parts.registry, projections())


async def _notify_waiter(client: Client, workflow_id: str, decided: ApprovalDecision) -> None:
    """Signal the workflow that waits for an approval; one that has ended needs no signal."""
    try:
        await client.get_workflow_handle(workflow_id).signal(DECIDED_SIGNAL, decided)
    except RPCError as error:
        if error.status not in RUN_IS_GONE:
            raise

"""Composes governance and administration: objectives, rate limits, and the state of the system."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from temporalio.client import Client

from activities.governance.objectives import ObjectiveActivities
from adapters.files.disk import DataDirectoryDisk
from adapters.postgres.monitoring.circuits import PostgresCircuits
from adapters.postgres.operations.objectives import PostgresAlerts, PostgresObjectives
from adapters.postgres.operations.projections import PostgresProjections
from adapters.postgres.operations.server_state import PostgresServerState
from adapters.redis.caches import RedisCaches
from adapters.redis.rate_limit_status import RedisRateLimitStatus
from adapters.redis.server_state import RedisServer
from api.admin import routes as admin
from api.admin.service import AdminService, Inspections
from api.governance import provider_routes, slo_routes
from api.governance.runbook_routes import RUNS, requested_run
from api.governance.runbook_schemas import RunbookRunSummary
from api.governance.runbook_service import RunbookService
from api.governance.slo_service import RateLimits, SloService
from api.http.request_context import RequestContext
from domain.governance.objectives import Objectives
from domain.governance.ports import NoRateLimitReads
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from runtime.wiring.projections import projections
from runtime.wiring.runbooks import make_task_queues, runbook_router


def governance_routers(
    settings: Settings, parts: Parts, client: Client, runbooks: RunbookService
) -> tuple[APIRouter, ...]:
    """Return the routers of governance and administration."""
    objectives = SloService(
        PostgresObjectives(parts.database),
        PostgresAlerts(parts.database),
        make_objectives(settings),
        _rate_limits(settings),
        now,
    )
    return (
        slo_routes.router(objectives),
        runbook_router(runbooks),
        provider_routes.router(parts.table, PostgresCircuits(parts.database)),
        admin.router(_admin(settings, parts, client), _start_vacuum(runbooks), RunbookRunSummary),
    )


def objective_activities(settings: Settings, parts: Parts) -> list[Callable[..., object]]:
    """Return the activity that evaluates objectives."""
    counts = PostgresObjectives(parts.database)
    return ObjectiveActivities(parts.ledger, counts, make_objectives(settings), now).all()


def make_objectives(settings: Settings) -> Objectives:
    """Return the objectives of this deployment."""
    return Objectives(settings.slo_availability, settings.slo_response_time_s, settings.slo_error_rate)


def _rate_limits(settings: Settings) -> RateLimits:
    if settings.rate_limit is None:
        return RateLimits(NoRateLimitReads(), None)
    requests, seconds = settings.rate_limit
    reads = RedisRateLimitStatus(settings.redis_url or "", requests=requests, seconds=seconds)
    return RateLimits(reads, (requests, seconds))


def _admin(settings: Settings, parts: Parts, client: Client) -> AdminService:
    queues = make_task_queues(parts, client)
    inspections = Inspections(
        database=PostgresServerState(parts.database),
        valkey=RedisServer(settings.redis_url),
        temporal=queues,
        disk=DataDirectoryDisk(settings.data_dir),
        queues=queues,
        projections=PostgresProjections(parts.database, parts.registry, projections()),
    )
    return AdminService(inspections, RedisCaches(settings.redis_url), version("convergio"))


def _start_vacuum(runbooks: RunbookService) -> admin.StartVacuum:
    async def start(
        parameters: dict[str, Any], request: RequestContext, key: str | None
    ) -> tuple[RunbookRunSummary, str]:
        run = await runbooks.request("vacuum", parameters, request.cause(now()), dry_run=False, key=key)
        return requested_run(run), f"{RUNS}/{run.asked.run_id}"

    return start

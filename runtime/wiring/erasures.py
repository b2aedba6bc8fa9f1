"""Composes erasures and retention: their routes, and the activities of their workflows."""

from collections.abc import Callable

from fastapi import APIRouter
from temporalio.client import Client

from activities.erasures.activities import ErasureActivities
from activities.erasures.retention import RetentionActivities
from activities.erasures.runs import RunEraser
from activities.erasures.subjects import SubjectCloser, SubjectCommands
from activities.reconcile.erasures import ErasureReconciler
from activities.schedules.settlement import ScheduleSettlement
from adapters.postgres.erasures.owners import PostgresErasedOwners
from adapters.postgres.erasures.search import PostgresOwnerSearch
from adapters.postgres.erasures.views import PostgresErasures
from adapters.postgres.records.integer_ids import PostgresTenantSecrets
from adapters.postgres.tenants import PostgresTenants
from api.erasures import routes
from api.erasures.service import ErasureService
from api.http.dependencies import Positions
from api.retention import routes as retention
from domain.content import NoEraser
from domain.erasures.commands import ErasureCommands
from domain.knowledge.commands import DocumentCommands
from domain.retention.commands import RetentionCommands
from domain.schedules.commands import ScheduleCommands
from domain.tenants.commands import TenantCommands
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from runtime.wiring.routes.people import make_talent_commands
from runtime.wiring.run_services import PolledPositions
from workflows.erasures.client import ErasureClient
from workflows.schedules.client import TemporalTimers


def erasure_router(settings: Settings, parts: Parts, client: Client, live: Positions) -> APIRouter:
    """Return the router of erasures."""
    secrets = PostgresTenantSecrets(parts.database)
    service = ErasureService(
        ErasureCommands(parts.ledger),
        ErasureClient(client, settings.text_cache_s),
        PostgresErasures(parts.database),
        parts.ledger,
        search=PostgresOwnerSearch(parts.database, secrets),
        secrets=secrets,
        positions=live,
    )
    return routes.router(service, now)


def retention_router(parts: Parts) -> APIRouter:
    """Return the router of retention periods."""
    return retention.router(RetentionCommands(parts.ledger), TenantCommands(parts.ledger).is_active, now)


def erasure_activities(settings: Settings, parts: Parts, client: Client) -> list[Callable[..., object]]:
    """Return the activities of erasures, and the one that reconciles them."""
    runs = RunEraser(client)
    start = ErasureClient(client, settings.text_cache_s).start
    search = PostgresOwnerSearch(parts.database, PostgresTenantSecrets(parts.database))
    commands = SubjectCommands(
        parts.ledger,
        ScheduleCommands(parts.ledger),
        ScheduleSettlement(parts.ledger, TemporalTimers(client)),
        make_talent_commands(parts, NoEraser()),
        TenantCommands(parts.ledger),
        DocumentCommands(parts.ledger),
    )
    subjects = SubjectCloser(search, runs, commands, fresh=PolledPositions(parts.database).wait)
    owners = PostgresErasedOwners(parts.database)
    return [
        *ErasureActivities(parts.ledger, subjects, search, owners, runs, now=now, live=parts.live).all(),
        *RetentionActivities(
            RetentionCommands(parts.ledger),
            PostgresTenants(parts.database),
            search,
            ErasureCommands(parts.ledger),
            start=start,
            now=now,
        ).all(),
        *ErasureReconciler(PostgresErasures(parts.database), start).all(),
    ]

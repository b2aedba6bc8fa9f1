"""Composes schedules: their routes, and the activities of their firings."""

from collections.abc import Callable

from fastapi import APIRouter
from temporalio.client import Client

from activities.reconcile.schedules import ScheduleReconciler
from activities.schedules.activities import ScheduleActivities
from activities.schedules.settlement import ScheduleSettlement
from api.schedules import routes
from api.schedules.service import ScheduleService
from api.schedules.work_starter import ServiceWorkStarter
from domain.keys.commands import KeyLookup
from domain.schedules.commands import ScheduleCommands
from domain.tenants.commands import TenantCommands
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from runtime.wiring.run_services import PolledPositions, RunServices, make_run_services
from workflows.schedules.client import TemporalTimers


def schedule_router(parts: Parts, client: Client, services: RunServices) -> APIRouter:
    """Return the router of schedules."""
    timers, context, commands = TemporalTimers(client), services.context, ScheduleCommands(parts.ledger)
    schedules = ScheduleService(
        commands,
        parts.schedules,
        timers,
        ScheduleSettlement(parts.ledger, timers),
        content=parts.content,
        handover=context.handover,
        positions=context.positions,
        now=now,
    )
    return routes.router(routes.ScheduleRouteServices(schedules, commands, parts.schedules, now))


def schedule_activities(settings: Settings, parts: Parts, client: Client) -> list[Callable[..., object]]:
    """Return the activities of firings, and the one that reconciles schedules."""
    settlement = ScheduleSettlement(parts.ledger, TemporalTimers(client))
    return [
        *ScheduleActivities(parts.ledger, parts.content, work_starter(settings, parts, client), now).all(),
        *ScheduleReconciler(settlement, parts.schedules).all(),
    ]


def work_starter(settings: Settings, parts: Parts, client: Client) -> ServiceWorkStarter:
    """Return what starts the work of firings."""
    services = make_run_services(settings, parts, client, PolledPositions(parts.database))
    return ServiceWorkStarter(
        services.chats,
        services.swarms,
        services.executions,
        services.runbooks,
        chat_reads=parts.chats,
        swarm_reads=parts.swarms,
        run_reads=parts.runs,
        callers=KeyLookup(parts.ledger, TenantCommands(parts.ledger)),
        context=services.context,
        now=now,
    )

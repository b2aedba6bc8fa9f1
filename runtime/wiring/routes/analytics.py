"""Composes the routes of analytics and of the agents' health."""

from fastapi import APIRouter

from adapters.postgres.figures.analytics import PostgresAnalytics
from adapters.postgres.figures.ecosystem import PostgresEcosystem
from api.analytics import routes as analytics
from api.analytics.service import AnalyticsService
from api.ecosystem import routes as ecosystem
from api.ecosystem.service import EcosystemService
from domain.ecosystem.policy import HealthRule
from runtime.wiring.parts import Parts, now


def analytics_routers(parts: Parts) -> tuple[APIRouter, ...]:
    """Return the routers of analytics and of the agent ecosystem."""
    figures = AnalyticsService(PostgresAnalytics(parts.database), parts.agents, now)
    reads = PostgresEcosystem(parts.database)
    health = EcosystemService(reads, parts.agents, parts.model.default, HealthRule(), now, parts.table)
    return analytics.router(figures), ecosystem.router(health)

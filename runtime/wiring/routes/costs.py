"""Composes the routes of costs: usage and ledger, limits, alerts, prices, and what calls would have cost at others."""

from fastapi import APIRouter

from adapters.postgres.billing.cost_alerts import PostgresCostAlerts
from adapters.postgres.billing.limits import PostgresLimits
from adapters.postgres.figures.what_if import PostgresWhatIf
from api.costs import alert_routes, limit_routes, price_routes, routes, what_if_routes
from api.http.dependencies import Positions
from domain.costs.alerts.commands import CostAlertCommands
from domain.costs.limits.commands import LimitCommands
from runtime.wiring.parts import Parts, now


def cost_routers(parts: Parts, live: Positions) -> tuple[APIRouter, ...]:
    """Return the routers of costs."""
    calls = PostgresWhatIf(parts.database)
    limits = limit_routes.LimitRouteServices(LimitCommands(parts.ledger), PostgresLimits(parts.database), now)
    alerts = alert_routes.AlertRouteServices(
        CostAlertCommands(parts.ledger), PostgresCostAlerts(parts.database), live, now
    )
    return (
        routes.router(parts.costs, now),
        limit_routes.router(limits),
        alert_routes.router(alerts),
        price_routes.router(price_routes.PriceRouteServices(parts.prices, calls, now)),
        what_if_routes.router(what_if_routes.WhatIfServices(parts.prices, calls, now)),
    )

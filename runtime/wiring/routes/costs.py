"""Composes the routes of costs: usage and ledger, prices, and what calls would have cost at others."""

from fastapi import APIRouter

from adapters.postgres.figures.what_if import PostgresWhatIf
from api.costs import price_routes, routes, what_if_routes
from runtime.wiring.parts import Parts, now


def cost_routers(parts: Parts) -> tuple[APIRouter, ...]:
    """Return the routers of costs."""
    calls = PostgresWhatIf(parts.database)
    return (
        routes.router(parts.costs, now),
        price_routes.router(price_routes.PriceRouteServices(parts.prices, calls, now)),
        what_if_routes.router(what_if_routes.WhatIfServices(parts.prices, calls, now)),
    )

"""Composes the routes that export the cost ledger."""

from fastapi import APIRouter

from adapters.postgres.billing.call_export import PostgresCallExport
from api.costs import export_routes
from runtime.wiring.parts import Parts, now


def billing_routers(parts: Parts) -> tuple[APIRouter, ...]:
    """Return the routers of exports."""
    return (export_routes.router(PostgresCallExport(parts.database), parts.provider.name, now),)

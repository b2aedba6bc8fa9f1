"""Composes the routes that export the cost ledger and compare it with invoices."""

from fastapi import APIRouter

from adapters.postgres.billing.booked_calls import PostgresBookedCalls
from adapters.postgres.billing.call_export import PostgresCallExport
from adapters.postgres.billing.findings import PostgresFindings
from api.costs import export_routes, reconciliation_routes
from api.costs.reconciliation_service import ReconciliationService
from domain.costs.reconciliation.application import ReconciliationApplier
from domain.costs.reconciliation.commands import ReconciliationCommands
from runtime.wiring.parts import Parts, now

CSV_BODIES = frozenset({reconciliation_routes.IMPORT_PATH})
LARGER_BODIES = reconciliation_routes.LARGER_BODIES


def billing_routers(parts: Parts) -> tuple[APIRouter, ...]:
    """Return the routers of exports and reconciliations."""
    store = PostgresFindings(parts.database)
    commands = ReconciliationCommands(parts.ledger, PostgresBookedCalls(parts.database), store)
    service = ReconciliationService(commands, ReconciliationApplier(parts.ledger, store), store, now)
    return (
        export_routes.router(PostgresCallExport(parts.database), parts.provider.name, now),
        reconciliation_routes.router(service),
    )

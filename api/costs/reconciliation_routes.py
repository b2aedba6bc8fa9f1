"""Routes of reconciliations with a provider's invoice."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.costs.reconciliation_schemas import (
    FindingView,
    InvoiceTerms,
    NewReconciliation,
    ReconciliationDetail,
    ReconciliationList,
    ReconciliationView,
)
from api.costs.reconciliation_service import ReconciliationService, to_csv
from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, Paged, Positions, requires
from api.tables.csv_tables import IMPORTED, MAX_TABLE
from api.tables.figures import CSV_TOO, FormatQuery
from domain.costs.reconciliation.findings import Outcome
from domain.errors import Unavailable

PATH = "/api/v1/cost-management/reconciliations"
IMPORT_PATH = f"{PATH}/import"
LARGER_BODIES = {PATH: MAX_TABLE, IMPORT_PATH: MAX_TABLE}
_CSV = "text/csv; charset=utf-8"
_WAITS = 15
"""Waits for the view of calls, of a second each."""


async def _await_ledger(request: Request) -> None:
    """Wait until the view of calls has all that was recorded so far: a report of older ones would find differences.

    Raises:
        Unavailable: it is too far behind.
    """
    positions: Positions = request.app.state.positions
    for _ in range(_WAITS):
        if await positions.wait("costs"):
            return
    raise Unavailable("the view of calls is behind the ledger", retry_after=_WAITS)


def router(service: ReconciliationService) -> APIRouter:
    """Build the routes `/api/v1/cost-management/reconciliations`."""
    routes = APIRouter(prefix=PATH, tags=["Cost Management"], dependencies=[requires("admin")])
    _add_comparisons(routes, service)
    _add_reports(routes, service)

    @routes.post("/{reconciliation_id}/apply")
    def apply(reconciliation_id: str, request: CurrentRequest) -> ReconciliationView:
        """Ends the unknown attempts that the invoice names by their calls: settled at its cost, or failed.

        Nothing else in the ledger changes. A repeat changes nothing. 409 if the period was locked before.
        """
        return ReconciliationView.of(service.apply(reconciliation_id, request))

    @routes.post("/{reconciliation_id}/lock")
    def lock(reconciliation_id: str, request: CurrentRequest) -> ReconciliationView:
        """Locks the period for this provider: a further reconciliation of any of its days is refused with 409."""
        return ReconciliationView.of(service.lock(reconciliation_id, request))

    return routes


def _add_comparisons(routes: APIRouter, service: ReconciliationService) -> None:
    @routes.post("", status_code=201, dependencies=[Depends(_await_ledger)])
    def reconcile(body: NewReconciliation, request: CurrentRequest, key: IdempotencyKey) -> ReconciliationView:
        """Compares an invoice with the ledger, line by line, and records the findings. At most 10 MiB.

        Outcomes: `matched`; `provider_only`, `ledger_only`; `cost_differs`, `tokens_differ`, `requests_differ`;
        `duplicate` (a call named again); `unknown_model` (none of the ledger's), `model_differs`; `outside_period`;
        `unreadable`; `not_judged` (newer than the delay, or not ended). Unknown attempts are `unknown_charged` or
        `unknown_not_charged` as their line states, else `unknown_open`. The ledger changes only with `apply`.
        """
        return ReconciliationView.of(service.record(body, request, key))

    @routes.post("/import", status_code=201, dependencies=[Depends(_await_ledger)], openapi_extra=IMPORTED)
    def reconcile_table(
        terms: Annotated[InvoiceTerms, Query()], request: CurrentRequest, key: IdempotencyKey
    ) -> ReconciliationView:
        """Compares an invoice as a CSV table with the ledger; the columns are the fields of a line, in any order.

        The header is row 1, so the first line is 2. A row of another length is a finding (`unreadable`).
        """
        return ReconciliationView.of(service.record_table(terms, request, key))


def _add_reports(routes: APIRouter, service: ReconciliationService) -> None:
    @routes.get("")
    def list_reconciliations(tenant_id: CurrentTenant, page: Paged) -> ReconciliationList:
        """Lists the reconciliations of the caller's tenant, newest first."""
        found = list(service.commands.all(tenant_id).by_id.values())[::-1]
        shown = [ReconciliationView.of(each) for each in found[page.skip : page.skip + page.limit]]
        return ReconciliationList(data=shown, **page.listing_fields(len(found)))

    @routes.get("/{reconciliation_id}", response_model=ReconciliationDetail, responses=CSV_TOO)
    def show_reconciliation(
        reconciliation_id: str,
        tenant_id: CurrentTenant,
        page: Paged,
        outcome: Annotated[Outcome | None, Query(description="Only these findings.")] = None,
        as_format: FormatQuery = "json",
    ) -> ReconciliationDetail | Response:
        """Returns a reconciliation and a page of its findings. As CSV it is the table of all findings."""
        found = service.commands.all(tenant_id).find(reconciliation_id)
        if as_format == "csv":
            return _to_file(service, reconciliation_id, outcome)
        findings = service.store.page(reconciliation_id, outcome, skip=page.skip, limit=page.limit)
        shown = [FindingView.model_validate(finding) for finding in findings.findings]
        view = ReconciliationView.of(found)
        return ReconciliationDetail(reconciliation=view, data=shown, **page.listing_fields(findings.total))


def _to_file(service: ReconciliationService, reconciliation_id: str, outcome: Outcome | None) -> Response:
    batches = service.store.batches(reconciliation_id, [outcome] if outcome else [])
    name = {"content-disposition": 'attachment; filename="reconciliation.csv"'}
    return StreamingResponse(to_csv(batches), 200, name, _CSV)

"""Routes that export and import clients as CSV tables."""

from fastapi import APIRouter, Response

from api.clients.csv_documents import to_csv
from api.clients.parameters import PREFIX, Text
from api.clients.service import ClientService
from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, fresh, requires
from api.tables.csv_tables import EXPORTED, IMPORTED, ImportResult, csv_response
from domain.clients.ports import ClientFilter
from domain.clients.profile import Status

IMPORT_PATH = f"{PREFIX}/import"


def router(service: ClientService) -> APIRouter:
    """`/api/v1/clients/export` and `/api/v1/clients/import`."""
    routes = APIRouter(prefix=PREFIX, tags=["Projects & Clients"])

    @routes.get(
        "/export",
        dependencies=[requires("read"), fresh("clients")],
        response_class=Response,
        responses=EXPORTED,
    )
    def export_clients(tenant_id: CurrentTenant, *, status: Status | None = None, q: Text = None) -> Response:
        """Returns the clients that match the filters of the list as a CSV table, in the order of their ids.

        A text that a spreadsheet would take for a formula has an apostrophe before it; an import removes it.
        """
        wanted = ClientFilter(tenant_id, status, q.split() if q else ())
        return csv_response(to_csv(service.clients.all(wanted)), "clients")

    @routes.post("/import", status_code=201, dependencies=[requires("write")], openapi_extra=IMPORTED)
    async def import_clients(request: CurrentRequest, key: IdempotencyKey) -> ImportResult:
        """Creates all clients of a CSV table, or none if a row is not valid; `details.errors` names row and field.

        The first row names the columns: name, description, contact_name, contact_email and status, in any order; the
        other columns of an export are ignored. At most 10,000 rows and 10 MiB. Row 1 is the header.
        """
        return await service.import_csv(request, key)

    return routes

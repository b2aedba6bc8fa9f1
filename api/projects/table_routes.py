"""Routes that export and import projects as CSV tables."""

from fastapi import APIRouter, Response

from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, fresh, requires
from api.projects.csv_documents import to_csv
from api.projects.parameters import PREFIX, RecordQuery, Text
from api.projects.service import ProjectService
from api.tables.csv_tables import EXPORTED, IMPORTED, ImportResult, csv_response
from domain.projects.ports import ProjectFilter
from domain.projects.profile import Status

IMPORT_PATH = f"{PREFIX}/import"


def router(service: ProjectService) -> APIRouter:
    """`/api/v1/projects/export` and `/api/v1/projects/import`."""
    routes = APIRouter(prefix=PREFIX, tags=["Projects & Clients"])

    @routes.get(
        "/export",
        dependencies=[requires("read"), fresh("projects")],
        response_class=Response,
        responses=EXPORTED,
    )
    def export_projects(
        tenant_id: CurrentTenant,
        *,
        status: Status | None = None,
        client_id: RecordQuery = None,
        member_id: RecordQuery = None,
        q: Text = None,
    ) -> Response:
        """Returns the projects that match the filters of the list as a CSV table, in the order of their ids.

        A text that a spreadsheet would take for a formula has an apostrophe before it; an import removes it.
        """
        wanted = ProjectFilter(tenant_id, status, client_id, member_id, q.split() if q else ())
        return csv_response(to_csv(service.projects.all(wanted)), "projects")

    @routes.post("/import", status_code=201, dependencies=[requires("write")], openapi_extra=IMPORTED)
    async def import_projects(request: CurrentRequest, key: IdempotencyKey) -> ImportResult:
        """Creates all projects of a CSV table, or none if a row is not valid; `details.errors` names row and field.

        The first row names the columns: name, description, status, client_id, budget_usd, start_date, end_date and
        members (ids separated by semicolons), in any order; the other columns of an export are ignored. At most 10,000
        rows and 10 MiB. Row 1 is the header.
        """
        return await service.import_csv(request, key)

    return routes

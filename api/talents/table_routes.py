"""Routes that export and import talents as CSV tables."""

from fastapi import APIRouter, Response

from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, fresh, requires
from api.tables.csv_tables import EXPORTED, IMPORTED, ImportResult, csv_response
from api.talents.csv_documents import to_csv
from api.talents.parameters import PREFIX, Text
from api.talents.service import TalentService
from domain.talents.ports import TalentFilter
from domain.talents.profile import Status

IMPORT_PATH = f"{PREFIX}/import"


def router(service: TalentService) -> APIRouter:
    """`/api/v1/talents/export` and `/api/v1/talents/import`."""
    routes = APIRouter(prefix=PREFIX, tags=["Talents"])

    @routes.get(
        "/export",
        dependencies=[requires("read"), fresh("talents")],
        response_class=Response,
        responses=EXPORTED,
    )
    def export_talents(
        tenant_id: CurrentTenant,
        *,
        department: Text = None,
        skill: Text = None,
        status: Status | None = None,
        q: Text = None,
    ) -> Response:
        """Returns the talents that match the filters of the list as a CSV table, in the order of their ids.

        A text that a spreadsheet would take for a formula has an apostrophe before it; an import removes it.
        """
        wanted = TalentFilter(tenant_id, department, skill, status, q.split() if q else ())
        return csv_response(to_csv(service.talents.all(wanted)), "talents")

    @routes.post(
        "/import",
        status_code=201,
        dependencies=[requires("write")],
        openapi_extra=IMPORTED,
    )
    async def import_talents(request: CurrentRequest, key: IdempotencyKey) -> ImportResult:
        """Creates all talents of a CSV table, or none if a row is not valid; `details.errors` names row and field.

        The first row names the columns: name, email, department, skills (separated by semicolons), bio and status, in
        any order; the other columns of an export are ignored. At most 10,000 rows and 10 MiB. Row 1 is the header.
        """
        return await service.import_csv(request, key)

    return routes

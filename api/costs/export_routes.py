"""The route that exports the cost ledger as a file."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from api.costs.call_documents import to_csv, to_focus, to_json_lines
from api.http.dependencies import CurrentTenant, fresh, requires
from domain.costs import policy
from domain.costs.ports import CallExport

_EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }
    }
}
_CSV = "text/csv; charset=utf-8"


def router(calls: CallExport, provider: str, now: Callable[[], datetime]) -> APIRouter:
    """Build the route `/api/v1/cost-management/export`. `provider` issues the invoices for calls that name none."""
    routes = APIRouter(prefix="/api/v1/cost-management", tags=["Cost Management"])

    @routes.get(
        "/export",
        response_class=StreamingResponse,
        responses=_EXPORTS,
        dependencies=[requires("read"), fresh("costs")],
    )
    def export_ledger(
        tenant_id: CurrentTenant,
        *,
        as_format: Annotated[
            Literal["csv", "jsonl", "focus"],
            Query(alias="format", description="`focus` is the Cost and Usage dataset of FOCUS 1.3 as CSV."),
        ] = "csv",
        first: Annotated[date | None, Query(alias="from", description="First day (UTC).")] = None,
        last: Annotated[date | None, Query(alias="to", description="Last day (UTC), inclusive.")] = None,
    ) -> StreamingResponse:
        """Streams every attempt at a model call of the caller's tenant in a period, oldest first.

        The period is the current month without `from` and `to`. `csv` and `jsonl` have the fields of the ledger's list;
        `focus` has the attempts that were charged (settled or cut). Amounts are US dollars with all digits, in `jsonl`
        as texts: their sum is the exact `total_cost` of the period. In CSV, a text that a spreadsheet would take for a
        formula has an apostrophe before it. An attempt that ends during the export has the state it had when its line
        was read.
        """
        found = calls.batches(tenant_id, *policy.period(None, first, last, now().astimezone(UTC).date()))
        name = {"content-disposition": f'attachment; filename="cost_{_FILES[as_format]}"'}
        match as_format:
            case "jsonl":
                return StreamingResponse(to_json_lines(found), 200, name, "application/x-ndjson")
            case "focus":
                return StreamingResponse(to_focus(found, provider), 200, name, _CSV)
            case _:
                return StreamingResponse(to_csv(found), 200, name, _CSV)

    return routes


_FILES = {"csv": "ledger.csv", "jsonl": "ledger.jsonl", "focus": "focus_1_3.csv"}

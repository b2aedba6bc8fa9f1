"""The route of the audit."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AfterValidator, AwareDatetime

from api.audit.export import MEDIA_TYPES, Format, to_csv, to_json_lines
from api.audit.schemas import AuditEntries
from api.http.dependencies import MAX_PAGE, CurrentTenant, Page, fresh, requires
from api.http.schemas import MAX_INT
from domain.audit.ports import MOST_COUNTED, AuditFilter, AuditReads
from domain.signatures.ports import Signer

_TEXT = {"min_length": 1, "max_length": 300, "pattern": r"^[^\x00]*$"}
_EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        }
    }
}


def _in_range(moment: datetime) -> datetime:
    """Return the moment if it can be compared in UTC."""
    if not 1 < moment.year < 9999:  # noqa: PLR2004  (the years that every time zone can represent)
        raise ValueError("lies outside of the years 2 to 9998")
    return moment


_Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """The parameters of a request: the filter, and the page, which an export ignores."""

    wanted: AuditFilter
    page: Page


async def _query(
    tenant_id: CurrentTenant,
    *,
    by: Annotated[str | None, Query(**_TEXT, description="The key that caused it.")] = None,
    kind: Annotated[str | None, Query(**_TEXT, description="The name of the event.")] = None,
    subject: Annotated[str | None, Query(**_TEXT, description="The id of what it happened to.")] = None,
    since: Annotated[_Moment | None, Query(alias="from", description="Included.")] = None,
    until: Annotated[_Moment | None, Query(alias="to", description="Not included.")] = None,
    before: Annotated[
        int | None, Query(ge=1, le=MAX_INT, description="Only entries after this one in the list.")
    ] = None,
    skip: Annotated[int, Query(ge=0, le=MOST_COUNTED, description="Entries to skip; `before` is cheaper.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Maximum number of items to return.")] = 100,
) -> AuditQuery:
    return AuditQuery(AuditFilter(tenant_id, by, kind, subject, since, until, before), Page(skip, limit))


def router(reads: AuditReads, signer: Signer) -> APIRouter:
    """Build the route `/api/v1/audit`."""
    routes = APIRouter(prefix="/api/v1/audit", tags=["Audit"])

    @routes.get(
        "",
        response_model=AuditEntries,
        responses=_EXPORTS,
        dependencies=[requires("admin"), fresh("audit")],
    )
    def list_audit(
        query: Annotated[AuditQuery, Depends(_query)],
        as_format: Annotated[
            Format,
            Query(
                alias="format",
                description="`csv` and `jsonl` stream all entries, without pages. The last line of `jsonl` signs all "
                "others and the filter; `csv` is not signed.",
            ),
        ] = "json",
    ) -> AuditEntries | StreamingResponse:
        """Returns who did what, when and why in the caller's tenant, newest first. It holds no texts."""
        if as_format == "json":
            return _to_page(reads, query)
        found = reads.export(query.wanted)
        lines = to_csv(found) if as_format == "csv" else to_json_lines(found, query.wanted, signer)
        disposition = {"content-disposition": f'attachment; filename="audit.{as_format}"'}
        return StreamingResponse(lines, 200, disposition, MEDIA_TYPES[as_format])

    return routes


def _to_page(reads: AuditReads, query: AuditQuery) -> AuditEntries:
    page = query.page
    found = reads.page(query.wanted, skip=page.skip, limit=page.limit)
    is_full = len(found.entries) == page.limit
    return AuditEntries.model_validate(
        {
            "data": found.entries,
            "next": found.entries[-1].position if is_full else None,
            **page.listing_fields(found.total),
        }
    )

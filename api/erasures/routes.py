"""Routes that request and list erasures."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.erasures.schemas import Erasure, ErasureList, NewErasure, RemovedCounts
from api.erasures.service import ErasureService
from api.http.dependencies import CurrentRequest, CurrentTenant, IdempotencyKey, Paged, fresh, requires
from domain.erasures.aggregate import Erasure as RequestedErasure
from domain.erasures.events import Kind
from domain.erasures.ports import ErasureFilter
from domain.erasures.projection import ErasureRow, Status
from domain.tenant_ids import unqualified

PREFIX = "/api/v1/erasures"
_Id = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9_~-]+$")]


def router(erasures: ErasureService, now: Callable[[], datetime]) -> APIRouter:
    """Build the routes `/api/v1/erasures`. Every route requires `admin`."""
    routes = APIRouter(prefix=PREFIX, tags=["Admin"], dependencies=[requires("admin")])

    @routes.post("", status_code=202)
    async def request_erasure(
        body: NewErasure, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> Erasure:
        """Removes all texts of a session, a user, a talent or a tenant: 202 and a `Location` to poll.

        What still runs is stopped. Figures stay, and signatures verify. A second erasure changes nothing.
        """
        cause = request.cause(now())
        erasure = await erasures.request(body.kind, body.id, cause, key=key)
        response.headers["location"] = f"{PREFIX}/{erasure.asked.erasure_id}"
        return _of_request(erasure)

    @routes.get("", dependencies=[fresh("erasures")])
    def list_erasures(
        page: Paged, tenant_id: CurrentTenant, kind: Kind | None = None, status: Status | None = None
    ) -> ErasureList:
        """Lists the erasures that the caller's tenant has requested, newest first."""
        found = erasures.page(ErasureFilter(tenant_id, kind, status), skip=page.skip, limit=page.limit)
        return ErasureList(data=[_of_row(row) for row in found.erasures], pagination=page.pagination(found.total))

    @routes.get("/{erasure_id}", dependencies=[fresh("erasures")])
    def get_erasure(erasure_id: _Id, tenant_id: CurrentTenant) -> Erasure:
        """Returns an erasure, and what it has removed once it is completed."""
        return _of_row(erasures.get(tenant_id, erasure_id))

    return routes


def _of_request(erasure: RequestedErasure) -> Erasure:
    asked, ended = erasure.asked, erasure.completed
    return Erasure(
        id=asked.erasure_id,
        kind=asked.kind,
        subject=unqualified(asked.subject),
        status="completed" if ended else "running",
        requested_by=asked.by,
        requested_at=asked.at,
        completed_at=ended.at if ended else None,
        removed=RemovedCounts.model_validate(ended) if ended else None,
    )


def _of_row(row: ErasureRow) -> Erasure:
    return Erasure.model_validate(
        {
            "id": row.erasure_id,
            "kind": row.kind,
            "subject": unqualified(row.subject),
            "status": row.status,
            "requested_by": row.requested_by,
            "requested_at": row.requested_at,
            "completed_at": row.completed_at,
            "removed": RemovedCounts.model_validate(row) if row.completed_at else None,
        }
    )

"""Routes that show and set the retention periods of a tenant."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.http.dependencies import CurrentRequest, IfMatch, requires, set_etag
from api.retention.schemas import RetentionChange, RetentionPeriods
from domain.errors import NotFound
from domain.retention.aggregate import Periods
from domain.retention.commands import RetentionCommands

PREFIX = "/api/v1/tenants/{tenant_id}/retention"
_Id = Annotated[str, Path(max_length=63, pattern=r"^[^\x00]*$")]


def router(commands: RetentionCommands, is_active: Callable[[str], bool], now: Callable[[], datetime]) -> APIRouter:
    """Build the routes of the retention periods of a tenant. Both require `admin`, the scope of operators."""
    routes = APIRouter(prefix=PREFIX, tags=["Admin"], dependencies=[requires("admin")])

    def require_active(tenant_id: str) -> None:
        if not is_active(tenant_id):
            raise NotFound(f"there is no tenant {tenant_id}")

    @routes.get("")
    def get_retention(tenant_id: _Id, response: Response) -> RetentionPeriods:
        """Returns for how many days a tenant's texts are kept."""
        require_active(tenant_id)
        return _respond(response, *commands.load(tenant_id))

    @routes.put("")
    async def set_retention(
        tenant_id: _Id, body: RetentionChange, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> RetentionPeriods:
        """Sets for how many days a tenant's texts are kept.

        Each hour an erasure of the kind `expired` removes what is past its period: at most 5,000 sessions or runs of a
        kind. Events, figures and signatures stay. A session is kept while it works, waits for an approval, or has a
        fork that is still kept; a run until it has ended.
        """
        await asyncio.to_thread(require_active, tenant_id)
        changes, cause = body.model_dump(exclude_unset=True), request.cause(now(), tenant_id)
        return _respond(response, *await asyncio.to_thread(commands.set_periods, changes, cause, check=expected.check))

    return routes


def _respond(response: Response, version: int, periods: Periods) -> RetentionPeriods:
    set_etag(response, version)
    return RetentionPeriods(version=version, **asdict(periods))

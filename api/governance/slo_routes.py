"""Routes of service level objectives and rate limits."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.governance.slo_schemas import AlertHistory, RateLimitStatus, SloReport
from api.governance.slo_service import SloService
from api.http.dependencies import CurrentCaller, CurrentRequest, Paged, any_caller, fresh, requires
from api.http.rate_limit import bucket_of


def router(objectives: SloService) -> APIRouter:
    """Build the routes of objectives and of rate limits."""
    routes = APIRouter(prefix="/api/v1/governance", tags=["Governance"])

    @routes.get("/slo", dependencies=[requires("read"), fresh("governance"), fresh("chat")])
    def get_slo(caller: CurrentCaller) -> SloReport:
        """Reports availability, response time and error rate of the last 30 days against their objectives.

        Measured from the requests to this API and from turns. Refusals (4xx, 429 among them) are no failures; every
        5xx is one, 503 among them. Probes, metrics and documentation are not counted. Counts of requests are written
        every five seconds. A figure is null where nothing was measured.
        """
        return objectives.report(caller)

    @routes.get("/slo/alerts", dependencies=[requires("admin"), fresh("governance")])
    def list_alerts(
        page: Paged,
        is_open: Annotated[bool | None, Query(alias="open", description="Only open or closed ones.")] = None,
    ) -> AlertHistory:
        """Lists the alerts on objectives of the whole deployment, newest first: when they opened and closed, and why.

        The rules are evaluated each minute.
        """
        found, total = objectives.alerts(is_open=is_open, skip=page.skip, limit=page.limit)
        return AlertHistory(data=found, pagination=page.pagination(total))

    @routes.get("/rate-limits", dependencies=[any_caller()])
    async def get_rate_limits(request: CurrentRequest) -> RateLimitStatus:
        """Reports the caller's rate limit, and to operators (`admin`) who uses most of theirs.

        Reading takes no token of its own; the request itself takes one, as every request does.
        """
        return await objectives.rate_limit(bucket_of(request.caller, request.client), request.caller)

    return routes

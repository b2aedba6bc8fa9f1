"""Routes of alerts on cost, and of forecasts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Response

from api.costs.alert_schemas import CostAlert, CostAlerts, CostForecast, NewAlert, WindowForecast, to_alert
from api.costs.limit_schemas import ScopeName, refuse_unfit_scope
from api.http.dependencies import (
    CurrentCaller,
    CurrentRequest,
    CurrentTenant,
    IfMatch,
    Paged,
    Positions,
    fresh,
    requires,
    set_etag,
)
from api.http.request_context import RequestContext
from api.http.schemas import DeletedResource
from domain.costs.alerts.commands import CostAlertCommands
from domain.costs.alerts.forecast import forecast
from domain.costs.alerts.ports import CostAlertReads
from domain.costs.alerts.projection import alert_of
from domain.costs.limits.projection import ZERO
from domain.costs.limits.scopes import TENANT, day_of, is_operators, scope_of, window_end, window_start
from domain.errors import Invalid, NotFound

PATH = "/api/v1/cost-management"
VIEW = "cost_alerts"


@dataclass(frozen=True, slots=True)
class AlertRouteServices:
    """Dependencies of the routes of alerts."""

    commands: CostAlertCommands
    alerts: CostAlertReads
    live: Positions
    now: Callable[[], datetime]

    async def finish_response(self, request: RequestContext) -> None:
        """Wait until the view has the change, so that the caller's next read sees it."""
        if not await self.live.wait(VIEW):
            request.add_header("X-Convergio-Stale", "true")

    def show(self, tenant_id: str, alert_id: str) -> CostAlert:
        """Return an alert of a tenant.

        Raises:
            NotFound: there is none.
        """
        found = self.alerts.find(tenant_id, alert_id, day_of(self.now()))
        if found is None:
            raise NotFound("there is no such alert")
        return to_alert(found)

    def forecast(self, name: str, tenant_id: str, window: Literal["week", "month"]) -> WindowForecast:
        """Return the forecast of a scope's current window."""
        today = day_of(self.now())
        daily = self.alerts.daily(scope_of(name, tenant_id), today)
        start = window_start(window, today)
        end = window_end(window, start) or today
        found = forecast(daily, window, today)
        return WindowForecast(
            scope=name,
            window=window,
            window_start=start,
            window_end=end,
            spent=sum((cost for day, cost in daily.items() if start <= day < end), ZERO),
            forecast=None if found is None else CostForecast.model_validate(found),
        )


def router(service: AlertRouteServices) -> APIRouter:
    """Build the routes `/api/v1/cost-management/alerts` and `/api/v1/cost-management/forecast`."""
    routes = APIRouter(prefix=PATH, tags=["Cost Management"])
    _add_changes(routes, service)

    @routes.get("/alerts", dependencies=[requires("read"), fresh(VIEW)])
    def list_alerts(page: Paged, tenant_id: CurrentTenant) -> CostAlerts:
        """Lists the alerts of the caller's tenant, oldest first, with the figures of their current windows."""
        found = service.alerts.page(tenant_id, day_of(service.now()), skip=page.skip, limit=page.limit)
        return CostAlerts(data=[to_alert(one) for one in found.alerts], **page.listing_fields(found.total))

    @routes.get("/alerts/{alert_id}", dependencies=[requires("read"), fresh(VIEW)])
    def get_alert(alert_id: str, tenant_id: CurrentTenant, response: Response) -> CostAlert:
        """Returns an alert."""
        shown = service.show(tenant_id, alert_id)
        set_etag(response, shown.version)
        return shown

    @routes.get("/forecast", dependencies=[requires("read")])
    def get_forecast(
        caller: CurrentCaller, scope: ScopeName | None = None, window: Literal["week", "month"] = "month"
    ) -> WindowForecast:
        """Forecasts the cost of the current week or month: of the caller's tenant, or of a scope of limits.

        `global` and other tenants need the scope `admin`.
        """
        own = f"{TENANT}:{caller.tenant_id}"
        name = scope or own
        if is_operators(name) and name != own:
            caller.require("admin")
        try:
            refuse_unfit_scope(name, window)
        except ValueError as fault:
            raise Invalid(f"scope: {fault}", field="scope", reason=str(fault)) from fault
        return service.forecast(name, caller.tenant_id, window)

    return routes


def _add_changes(routes: APIRouter, service: AlertRouteServices) -> None:
    @routes.post("/alerts", status_code=201, dependencies=[requires("write")])
    async def create_alert(
        body: NewAlert, request: CurrentRequest, caller: CurrentCaller, response: Response
    ) -> CostAlert:
        """Creates an alert on the cost of a scope; it fires once in each window, as an event that the audit lists.

        The scopes are those of limits: `global` and `tenant:<id>` need the scope `admin`. Alerts are evaluated each
        minute. A deployment sends no notifications of them: read `state`, or the audit.
        """
        if is_operators(body.scope):
            caller.require("admin")
        cause = request.cause(service.now())
        made = await asyncio.to_thread(service.commands.create, body.to_rule(caller.tenant_id), cause)
        await service.finish_response(request)
        standing = await asyncio.to_thread(service.alerts.read_standing, alert_of(made), day_of(service.now()))
        shown = to_alert(standing)
        response.headers["location"] = f"{PATH}/alerts/{shown.id}"
        set_etag(response, shown.version)
        return shown

    @routes.delete("/alerts/{alert_id}", dependencies=[requires("write")])
    async def delete_alert(alert_id: str, request: CurrentRequest, expected: IfMatch) -> DeletedResource:
        """Deletes an alert."""
        cause = request.cause(service.now())
        await asyncio.to_thread(service.commands.delete, alert_id, cause, check=expected.check)
        await service.finish_response(request)
        return DeletedResource(id=alert_id)

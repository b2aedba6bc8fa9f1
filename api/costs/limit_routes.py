"""Routes of limits on cost."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Response

from api.costs.limit_schemas import CostLimits, LimitOrders, to_limit
from api.http.caller import Caller
from api.http.dependencies import (
    CurrentCaller,
    CurrentRequest,
    IfMatch,
    Page,
    Paged,
    requires,
    set_etag,
)
from domain.costs.limits.commands import LimitChange, LimitCommands
from domain.costs.limits.ports import LimitReads
from domain.costs.limits.scopes import day_of


@dataclass(frozen=True, slots=True)
class LimitRouteServices:
    """Dependencies of the routes of limits."""

    commands: LimitCommands
    limits: LimitReads
    now: Callable[[], datetime]

    def page(self, caller: Caller, page: Page) -> CostLimits:
        """Return the limits that a caller may see."""
        found = self.limits.page(
            caller.tenant_id,
            day_of(self.now()),
            is_operator="admin" in caller.scopes,
            skip=page.skip,
            limit=page.limit,
        )
        return CostLimits(data=[to_limit(one) for one in found.limits], **page.listing_fields(found.total))

    def by_name(self, changes: Sequence[LimitChange]) -> CostLimits:
        """Return the limits that were just set."""
        names = [(change.scope, change.window) for change in changes]
        found = [to_limit(one) for one in self.limits.by_name(names, day_of(self.now()))]
        return CostLimits(data=found, **Page(0, len(changes)).listing_fields(len(found)))


def router(service: LimitRouteServices) -> APIRouter:
    """Build the routes `/api/v1/cost-management/limits`."""
    routes = APIRouter(prefix="/api/v1/cost-management/limits", tags=["Cost Management"])

    @routes.get("", dependencies=[requires("read")])
    def get_limits(page: Paged, caller: CurrentCaller) -> CostLimits:
        """Lists the limits of the caller's tenant, with what counts against each in its current window.

        With the scope `admin` also those of all tenants together (`global`) and of each other tenant as a whole.
        """
        return service.page(caller, page)

    @routes.put("", dependencies=[requires("approve")])
    async def set_limits(
        body: LimitOrders, request: CurrentRequest, caller: CurrentCaller, expected: IfMatch, response: Response
    ) -> CostLimits:
        """Sets and removes limits; all or none. Returns those named that are in force.

        A limit counts from the next call on, and what its window has spent by then counts. Limits of `global` and
        `tenant:<id>` need the scope `admin`; others are those of the caller's tenant. A call that a limit does not
        cover is not made. With `on_breach` `fail` it fails with `BUDGET_EXCEEDED`; with `ask` its run waits for an
        approval of the type `budget`, whose content is the amount to allow, and goes on or fails.
        """
        if body.has_operators:
            caller.require("admin")
        changes = [limit.to_change(caller.tenant_id) for limit in body.limits]
        cause = request.cause(service.now())
        await asyncio.to_thread(service.commands.set_limits, changes, cause, check=expected.check)
        found = await asyncio.to_thread(service.by_name, changes)
        if len(changes) == len(found.data) == 1:
            set_etag(response, found.data[0].version)
        return found

    return routes

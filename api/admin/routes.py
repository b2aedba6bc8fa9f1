"""Routes of administration."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response

from api.admin.schemas import CacheClearing, ClearedCache, SystemInfo, VacuumRequest
from api.admin.service import AdminService
from api.http.dependencies import CurrentRequest, IdempotencyKey, requires
from api.http.request_context import RequestContext
from api.http.schemas import View

StartVacuum = Callable[[dict[str, Any], RequestContext, str | None], Awaitable[tuple[View, str]]]
"""Starts a run of the runbook `vacuum`, and returns it with the path at which it can be read."""


def router(admin: AdminService, start_vacuum: StartVacuum, run_model: type[View]) -> APIRouter:
    """Build the routes `/admin`. Every route requires `admin`; `run_model` is the response of a started run."""
    routes = APIRouter(prefix="/admin", tags=["Admin"], dependencies=[requires("admin")])

    @routes.post("/maintenance/vacuum", status_code=202, response_model=run_model)
    async def vacuum(body: VacuumRequest, request: CurrentRequest, key: IdempotencyKey, response: Response) -> View:
        """Vacuums tables, as a run of the runbook `vacuum`: 202 and a `Location` that shows its progress.

        Names of tables are checked against the database's catalogue. Tables stay readable and writable.
        """
        run, response.headers["location"] = await start_vacuum(body.model_dump(), request, key)
        return run

    @routes.get("/system/info")
    async def get_system_info() -> SystemInfo:
        """Reports versions, workers and backlog of each queue, projections, disk use and connections."""
        return await admin.info()

    @routes.post("/cache/clear")
    async def clear_cache(body: CacheClearing) -> ClearedCache:
        """Removes cached values from Valkey by prefix, and reports their number.

        Only caches can be cleared, which are below `convergio:cache:`. Rate limits and live frames are no caches.
        """
        return await admin.clear_cache(body.prefix)

    return routes

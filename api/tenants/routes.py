"""Routes that create, list and delete tenants."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from api.http.dependencies import (
    CurrentRequest,
    IdempotencyKey,
    IfMatch,
    Paged,
    Positions,
    fresh,
    requires,
    set_etag,
)
from api.http.request_context import RequestContext
from api.http.schemas import DeletedResource
from api.tenants.schemas import NewTenant, Tenant, Tenants
from domain.events import Cause
from domain.tenants import aggregate
from domain.tenants.commands import TenantCommands
from domain.tenants.ports import Status, TenantReads

PREFIX = "/api/v1/tenants"
_Id = Annotated[str, Path(max_length=63, pattern=r"^[^\x00]*$")]


@dataclass(frozen=True, slots=True)
class TenantManagement:
    """The services that the routes call."""

    commands: TenantCommands
    tenants: TenantReads
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext, tenant_id: str) -> Cause:
        """Return the cause of a change: the caller, the request and the time, in the tenant that changes."""
        return request.cause(self.now(), tenant_id)

    async def finish(self, request: RequestContext, response: Response, tenant: aggregate.TenantRecord) -> None:
        """Finish the response once the view has the change."""
        set_etag(response, tenant.changes)
        if not await self.positions.wait("tenants"):
            request.add_header("X-Convergio-Stale", "true")


def router(service: TenantManagement) -> APIRouter:
    """`/api/v1/tenants`. Every route requires `admin`, the scope of operators."""
    routes = APIRouter(prefix=PREFIX, tags=["Admin"], dependencies=[requires("admin")])

    @routes.post("", status_code=201)
    async def create_tenant(
        body: NewTenant, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> Tenant:
        """Creates a tenant. Its id cannot be changed, and is not given again after it was deleted."""
        cause = service.cause(request, body.id)
        tenant = await asyncio.to_thread(service.commands.create, body.id, body.name, cause, key=key)
        await service.finish(request, response, tenant)
        response.headers["location"] = f"{PREFIX}/{body.id}"
        return Tenant(
            id=body.id,
            name=body.name,
            status="active" if tenant.is_active else "deleted",
            created_at=tenant.created_at or cause.at,
            deleted_at=tenant.deleted_at,
            version=tenant.changes,
        )

    @routes.delete("/{tenant_id}")
    async def delete_tenant(
        tenant_id: _Id, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> DeletedResource:
        """Deletes a tenant: within a second no process accepts its keys any more. `default` cannot be deleted.

        What was made in the tenant is not erased, and work that is under way goes on.
        """
        cause = service.cause(request, tenant_id)
        tenant = await asyncio.to_thread(service.commands.delete, tenant_id, cause, check=expected.check)
        await service.finish(request, response, tenant)
        return DeletedResource(id=tenant_id)

    _add_reads(routes, service)
    return routes


def _add_reads(routes: APIRouter, service: TenantManagement) -> None:
    @routes.get("", dependencies=[fresh("tenants")])
    def list_tenants(page: Paged, status: Annotated[Status | None, Query()] = None) -> Tenants:
        """Lists all tenants, deleted ones included, in the order of their ids."""
        found = service.tenants.page(status, skip=page.skip, limit=page.limit)
        return Tenants.model_validate({"data": found.tenants, "pagination": page.pagination(found.total)})

    @routes.get("/{tenant_id}", dependencies=[fresh("tenants")])
    def get_tenant(tenant_id: _Id, response: Response) -> Tenant:
        """Returns one tenant."""
        found = service.tenants.get(tenant_id)
        set_etag(response, found.version)
        return Tenant.model_validate(found)

"""Routes that save and load the states of components."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query, Response

from api.components.schemas import (
    COMPONENT_ID,
    COMPONENT_TYPE,
    ComponentState,
    ComponentVersion,
    ComponentVersions,
    SaveRequest,
    to_state,
)
from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    IfMatch,
    Page,
    Paged,
    Positions,
    fresh,
    requires,
    set_etag,
)
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT, DeletedResource
from domain.components.aggregate import owner
from domain.components.commands import ComponentCommands
from domain.components.events import ComponentSaved
from domain.components.ports import ComponentReads, ComponentVersionPage
from domain.components.projection import ComponentVersionRow, to_version_row
from domain.content import ContentStore
from domain.errors import Invalid, NotFound
from domain.events import Cause

PREFIX = "/api/v1/serialization"
_Id = Annotated[str, Path(pattern=COMPONENT_ID)]


@dataclass(frozen=True, slots=True)
class ComponentRouteServices:
    """The services that the routes call."""

    commands: ComponentCommands
    reads: ComponentReads
    content: ContentStore
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def finish_response(self, request: RequestContext) -> None:
        """Wait until the view has the change, so that the caller's next read sees it."""
        if not await self.positions.wait("components"):
            request.add_header("X-Convergio-Stale", "true")

    def save(self, body: SaveRequest, cause: Cause, key: str | None) -> ComponentSaved:
        return self.commands.save(
            body.component_id,
            body.component_type,
            body.state,
            body.metadata,
            cause,
            expected=body.expected_version,
            key=key,
        )

    def read(self, tenant_id: str, component_id: str, version: int | None) -> ComponentState:
        """Return a version with its texts, the newest by default."""
        row = (
            to_version_row(self.commands.load(tenant_id, component_id))
            if version is None
            else self.reads.version(tenant_id, component_id, version)
        )
        return self._with_texts(row)

    def _with_texts(self, row: ComponentVersionRow) -> ComponentState:
        texts = self.content.get(owner(row.tenant_id, row.component_id), [row.state_hash, row.metadata_hash])
        state, metadata = texts.get(row.state_hash), texts.get(row.metadata_hash)
        return to_state(
            row,
            orjson.loads(state) if state is not None else None,
            orjson.loads(metadata) if metadata is not None else None,
            erased=state is None,
        )


def router(service: ComponentRouteServices) -> APIRouter:
    """Build the routes `/api/v1/serialization`."""
    routes = APIRouter(prefix=PREFIX, tags=["Component Serialization"])
    _add_write_routes(routes, service)
    _add_read_routes(routes, service)
    return routes


def _add_write_routes(routes: APIRouter, service: ComponentRouteServices) -> None:
    @routes.post("/save", status_code=201, dependencies=[requires("write")])
    async def save_component(
        body: SaveRequest, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> ComponentVersion:
        """Saves a new version of a component's state. 409 if `expected_version` is not the current one."""
        if request.rounded:
            reason = "contains an integer beyond 64 bits, which cannot be kept exactly: send it as a string"
            raise Invalid(f"body: {reason}", field="body", reason=reason)
        saved = await asyncio.to_thread(service.save, body, service.cause(request), key)
        await service.finish_response(request)
        set_etag(response, saved.component_version)
        response.headers["location"] = f"{PREFIX}/{saved.component_id}"
        return ComponentVersion.model_validate(to_version_row(saved))

    @routes.delete("/{component_id}", dependencies=[requires("write")])
    async def delete_component(component_id: _Id, request: CurrentRequest, expected: IfMatch) -> DeletedResource:
        """Deletes a component with all its versions. The next save under its id counts on."""
        cause = service.cause(request)
        await asyncio.to_thread(service.commands.delete, component_id, cause, check=expected.check)
        await service.finish_response(request)
        return DeletedResource(id=component_id)


def _add_read_routes(routes: APIRouter, service: ComponentRouteServices) -> None:
    viewing = [requires("read"), fresh("components")]

    @routes.get("", dependencies=viewing)
    def list_components(
        tenant_id: CurrentTenant,
        page: Paged,
        component_type: Annotated[str | None, Query(pattern=COMPONENT_TYPE)] = None,
    ) -> ComponentVersions:
        """Lists the components of the caller's tenant, each by its newest version, without their states."""
        return _to_list(service.reads.newest(tenant_id, component_type, skip=page.skip, limit=page.limit), page)

    @routes.get("/{component_id}", dependencies=viewing)
    def load_component(
        component_id: _Id,
        tenant_id: CurrentTenant,
        response: Response,
        version: Annotated[int | None, Query(ge=1, le=MAX_INT, description="The newest by default.")] = None,
    ) -> ComponentState:
        """Returns the state of a component as it was saved."""
        state = service.read(tenant_id, component_id, version)
        set_etag(response, state.version)
        return state

    @routes.get("/{component_id}/versions", dependencies=viewing)
    def list_component_versions(component_id: _Id, tenant_id: CurrentTenant, page: Paged) -> ComponentVersions:
        """Lists the versions of a component, newest first, without their states."""
        found = service.reads.versions(tenant_id, component_id, skip=page.skip, limit=page.limit)
        if not found.total:
            raise NotFound(f"there is no component {component_id}")
        return _to_list(found, page)


def _to_list(found: ComponentVersionPage, page: Page) -> ComponentVersions:
    return ComponentVersions.model_validate({"data": found.versions, "pagination": page.pagination(found.total)})

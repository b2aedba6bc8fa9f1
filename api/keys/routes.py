"""Routes that create, list, rotate and revoke API keys."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from api.http.dependencies import (
    CurrentCaller,
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
from api.keys.schemas import (
    DEFAULT_ROTATION,
    NO_NUL,
    Key,
    Keys,
    NewKey,
    Rotation,
    ShownKey,
    to_key,
    to_shown_key,
)
from domain.events import Cause
from domain.keys.commands import KeyChange, KeyCommands, WantedKey
from domain.keys.ports import KeyFilter, KeyReads, Status
from domain.tenant_ids import TENANT_ID

PREFIX = "/api/v1/keys"
_Id = Annotated[str, Path(max_length=120, pattern=NO_NUL)]


async def _named_tenant(
    caller: CurrentCaller,
    tenant_id: Annotated[
        str | None, Query(pattern=TENANT_ID, description="The tenant of the key; the caller's own by default.")
    ] = None,
) -> str:
    return tenant_id or caller.tenant_id


NamedTenant = Annotated[str, Depends(_named_tenant)]
"""The tenant that the query names: the scope `admin`, which all these routes require, reaches every tenant."""


@dataclass(frozen=True, slots=True)
class KeyManagement:
    """The services that the routes call."""

    commands: KeyCommands
    keys: KeyReads
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext, tenant_id: str) -> Cause:
        """Return the cause of a change: the caller, the request and the time, in the key's tenant."""
        return request.cause(self.now(), tenant_id)

    async def show(self, request: RequestContext, response: Response, change: KeyChange) -> ShownKey:
        """Return a key with its text, which no store of responses keeps, once the view has the change."""
        request.unstored = frozenset({"key"})
        set_etag(response, change.key.changes)
        response.headers["location"] = f"{PREFIX}/{change.id}"
        await self.catch_up(request)
        name = await asyncio.to_thread(self.commands.name, change.id, change.key)
        return to_shown_key(change.id, change.key, name, change.text)

    async def catch_up(self, request: RequestContext) -> None:
        """Wait until the view has all changes, or mark the response as stale."""
        if not await self.positions.wait("keys"):
            request.add_header("X-Convergio-Stale", "true")


def router(service: KeyManagement) -> APIRouter:
    """`/api/v1/keys`. Every route requires `admin`, the scope of operators."""
    routes = APIRouter(prefix=PREFIX, tags=["User Keys"], dependencies=[requires("admin")])
    _add_commands(routes, service)
    _add_reads(routes, service)
    return routes


def _add_commands(routes: APIRouter, service: KeyManagement) -> None:
    @routes.post("", status_code=201)
    async def create_key(body: NewKey, request: CurrentRequest, key: IdempotencyKey, response: Response) -> ShownKey:
        """Creates an API key. Its text is shown once, valid at once, and stored as a hash only.

        `tenant_id` may name any tenant. A repeat under the same `Idempotency-Key` omits `key`.
        """
        caller = request.caller
        cause = service.cause(request, body.tenant_id or caller.tenant_id)
        wanted = WantedKey(body.name, body.scopes, body.expires_at)
        change = await asyncio.to_thread(service.commands.create, wanted, caller.scopes, cause, key=key)
        return await service.show(request, response, change)

    @routes.post("/{key_id}/rotate", status_code=201)
    async def rotate_key(
        key_id: _Id,
        request: CurrentRequest,
        tenant_id: NamedTenant,
        key: IdempotencyKey,
        response: Response,
        *,
        body: Rotation = DEFAULT_ROTATION,
    ) -> ShownKey:
        """Gives a key a new text under the same id. The earlier text is valid for `overlap_s` more seconds.

        All that was made with the key stays with it, and so does its rate limit. Only callers with all scopes of the
        key may rotate it. A revoked or expired key is a `409`.
        """
        scopes, cause = request.caller.scopes, service.cause(request, tenant_id)
        change = await asyncio.to_thread(service.commands.rotate, key_id, body.overlap_s, scopes, cause, key=key)
        return await service.show(request, response, change)

    @routes.delete("/{key_id}")
    async def revoke_key(
        key_id: _Id, request: CurrentRequest, tenant_id: NamedTenant, expected: IfMatch, response: Response
    ) -> DeletedResource:
        """Revokes a key: within a second no process accepts it any more. It stays listed as `revoked`."""
        cause = service.cause(request, tenant_id)
        change = await asyncio.to_thread(service.commands.revoke, key_id, cause, check=expected.check)
        set_etag(response, change.key.changes)
        await service.catch_up(request)
        return DeletedResource(id=key_id)


def _add_reads(routes: APIRouter, service: KeyManagement) -> None:
    @routes.get("", dependencies=[fresh("keys")])
    def list_keys(tenant_id: NamedTenant, page: Paged, status: Annotated[Status | None, Query()] = None) -> Keys:
        """Lists the keys of a tenant without their texts, newest first; `tenant_id` may name any tenant."""
        found = service.keys.page(KeyFilter(tenant_id, status), skip=page.skip, limit=page.limit)
        return Keys(data=[to_key(key) for key in found.keys], pagination=page.pagination(found.total))

    @routes.get("/{key_id}", dependencies=[fresh("keys")])
    def get_key(key_id: _Id, tenant_id: NamedTenant, response: Response) -> Key:
        """Returns a key without its text."""
        found = service.keys.get(tenant_id, key_id)
        set_etag(response, found.version)
        return to_key(found)

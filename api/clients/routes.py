"""Routes of clients."""

from asyncio import to_thread

from fastapi import APIRouter, Response

from api.clients.parameters import PREFIX, AsOf, Text
from api.clients.schemas import Client, ClientChanges, ClientList, NewClient, to_client
from api.clients.service import ClientService
from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    IfMatch,
    Paged,
    fresh,
    requires,
    set_etag,
)
from api.http.schemas import DeletedRecord, Id, RecordHistory
from domain.clients.ports import ClientFilter
from domain.clients.profile import Status


def router(service: ClientService) -> APIRouter:
    """`/api/v1/clients`."""
    routes = APIRouter(prefix=PREFIX, tags=["Projects & Clients"])
    _add_collection_routes(routes, service)
    _add_client_routes(routes, service)
    return routes


def _add_collection_routes(routes: APIRouter, service: ClientService) -> None:
    @routes.get("", dependencies=[requires("read"), fresh("clients")])
    def list_clients(
        page: Paged, tenant_id: CurrentTenant, *, status: Status | None = None, q: Text = None
    ) -> ClientList:
        """Lists the tenant's clients in the order of their ids; deleted ones are left out.

        Every word of `q` occurs in the client's texts; case does not matter.
        """
        wanted = ClientFilter(tenant_id, status, q.split() if q else ())
        found = service.clients.page(wanted, skip=page.skip, limit=page.limit)
        shown = [to_client(client) for client in found.clients]
        return ClientList.model_validate({"data": shown, **page.listing_fields(found.total)})

    @routes.post("", status_code=201, dependencies=[requires("write")])
    async def create_client(
        body: NewClient, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> Client:
        """Creates a client."""
        client = await to_thread(service.commands.create, body.draft(), service.cause(request), key=key)
        set_etag(response, client.version)
        response.headers["location"] = f"{PREFIX}/{client.id}"
        return to_client(client)


def _add_client_routes(routes: APIRouter, service: ClientService) -> None:
    @routes.get("/{client_id}", dependencies=[requires("read")])
    def get_client(client_id: Id, tenant_id: CurrentTenant, response: Response, as_of: AsOf = None) -> Client:
        """Returns a client, as it is or as it was at the moment `as_of`."""
        if as_of is not None:
            return to_client(service.past.state_at(tenant_id, client_id, as_of))
        client = service.commands.get(tenant_id, client_id)
        set_etag(response, client.version)
        return to_client(client)

    @routes.put("/{client_id}", dependencies=[requires("write")])
    async def update_client(
        client_id: Id, body: ClientChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> Client:
        """Changes the given fields of a client."""
        cause, changes = service.cause(request), body.changes()
        client = await to_thread(service.commands.update, client_id, changes, cause, check=expected.check)
        set_etag(response, client.version)
        return to_client(client)

    @routes.delete("/{client_id}", dependencies=[requires("write")])
    async def delete_client(client_id: Id, request: CurrentRequest, expected: IfMatch) -> DeletedRecord:
        """Deletes a client: it is hidden, and its history remains. Projects keep its id."""
        await to_thread(service.commands.delete, client_id, service.cause(request), check=expected.check)
        return DeletedRecord(id=client_id)

    @routes.get("/{client_id}/history", dependencies=[requires("read")])
    def list_client_history(client_id: Id, tenant_id: CurrentTenant, page: Paged) -> RecordHistory:
        """Lists the events of a client, oldest first. A deleted client has a history too."""
        entries = service.past.history(tenant_id, client_id)
        shown = entries[page.skip : page.skip + page.limit]
        return RecordHistory.model_validate({"data": shown, **page.listing_fields(len(entries))})

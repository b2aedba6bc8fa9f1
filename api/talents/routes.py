"""Routes of talents."""

from asyncio import to_thread

from fastapi import APIRouter, Response

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
from api.talents.parameters import PREFIX, AsOf, Text
from api.talents.schemas import (
    MatchedTalents,
    NewTalent,
    Talent,
    TalentChanges,
    TalentList,
    TalentQuery,
    to_match,
    to_talent,
)
from api.talents.service import TalentService
from domain.talents.ports import TalentFilter
from domain.talents.profile import Status


def router(service: TalentService) -> APIRouter:
    """`/api/v1/talents`, without the tables."""
    routes = APIRouter(prefix=PREFIX, tags=["Talents"])
    _add_collection_routes(routes, service)
    _add_talent_routes(routes, service)
    _add_match_route(routes, service)
    return routes


def _add_collection_routes(routes: APIRouter, service: TalentService) -> None:
    @routes.get("", dependencies=[requires("read"), fresh("talents")])
    def list_talents(
        page: Paged,
        tenant_id: CurrentTenant,
        *,
        department: Text = None,
        skill: Text = None,
        status: Status | None = None,
        q: Text = None,
    ) -> TalentList:
        """Lists the tenant's talents in the order of their ids; deleted ones are left out.

        `department` and `skill` are compared as a whole; every word of `q` occurs in name, biography or skills. Case
        does not matter.
        """
        wanted = TalentFilter(tenant_id, department, skill, status, q.split() if q else ())
        found = service.talents.page(wanted, skip=page.skip, limit=page.limit)
        shown = [to_talent(talent) for talent in found.talents]
        return TalentList.model_validate({"talents": shown, **page.listing_fields(found.total)})

    @routes.post("", status_code=201, dependencies=[requires("write")])
    async def create_talent(
        body: NewTalent, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> Talent:
        """Creates a talent. An e-mail address that another talent has is a `409`."""
        talent = await to_thread(service.commands.create, body.draft(), service.cause(request), key=key)
        set_etag(response, talent.version)
        response.headers["location"] = f"{PREFIX}/{talent.id}"
        return to_talent(talent)


def _add_talent_routes(routes: APIRouter, service: TalentService) -> None:
    @routes.get("/{talent_id}", dependencies=[requires("read")])
    def get_talent(talent_id: Id, tenant_id: CurrentTenant, response: Response, as_of: AsOf = None) -> Talent:
        """Returns a talent, as it is or as it was at the moment `as_of`."""
        if as_of is not None:
            return to_talent(service.past.state_at(tenant_id, talent_id, as_of))
        talent = service.commands.get(tenant_id, talent_id)
        set_etag(response, talent.version)
        return to_talent(talent)

    @routes.put("/{talent_id}", dependencies=[requires("write")])
    async def update_talent(
        talent_id: Id, body: TalentChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> Talent:
        """Changes the given fields of a talent."""
        cause, changes = service.cause(request), body.changes()
        talent = await to_thread(service.commands.update, talent_id, changes, cause, check=expected.check)
        set_etag(response, talent.version)
        return to_talent(talent)

    @routes.delete("/{talent_id}", dependencies=[requires("write")])
    async def delete_talent(talent_id: Id, request: CurrentRequest, expected: IfMatch) -> DeletedRecord:
        """Deletes a talent: it is hidden, its e-mail address is free again, and its history remains."""
        await to_thread(service.commands.delete, talent_id, service.cause(request), check=expected.check)
        return DeletedRecord(id=talent_id)

    @routes.get("/{talent_id}/history", dependencies=[requires("read")])
    def list_talent_history(talent_id: Id, tenant_id: CurrentTenant, page: Paged) -> RecordHistory:
        """Lists the events of a talent, oldest first. A deleted talent has a history too."""
        entries = service.past.history(tenant_id, talent_id)
        shown = entries[page.skip : page.skip + page.limit]
        return RecordHistory.model_validate({"data": shown, **page.listing_fields(len(entries))})


def _add_match_route(routes: APIRouter, service: TalentService) -> None:
    @routes.post("/match", dependencies=[requires("read"), fresh("talents")])
    async def match_talents(body: TalentQuery, tenant_id: CurrentTenant) -> MatchedTalents:
        """Finds the active talents that fit a need best, with the reasons.

        The score is 0.7 times the share of the wanted skills that a talent has, plus 0.3 times the share of the words
        of `text` that occur in its biography, skills or department; if only one of both is given, it is that share.
        Equal scores are ordered by the number of matches, then by id.
        """
        found = await to_thread(service.match, tenant_id, body.need(), body.department, body.limit)
        return MatchedTalents(data=[to_match(match) for match in found], total=len(found))

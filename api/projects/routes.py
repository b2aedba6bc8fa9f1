"""Routes of projects."""

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
from api.projects.parameters import PREFIX, AsOf, FirstDay, LastDay, RecordQuery, Text, ZoneQuery
from api.projects.schemas import (
    DailyFigures,
    NewProject,
    Project,
    ProjectAnalytics,
    ProjectChanges,
    ProjectList,
    to_project,
)
from api.projects.service import ProjectService
from api.tables.figures import CSV_TOO, FormatQuery, to_table
from domain.projects.ports import ProjectFilter
from domain.projects.profile import Status


def router(service: ProjectService) -> APIRouter:
    """`/api/v1/projects`."""
    routes = APIRouter(prefix=PREFIX, tags=["Projects & Clients"])
    _add_collection_routes(routes, service)
    _add_project_routes(routes, service)
    _add_analytics_route(routes, service)
    return routes


def _add_collection_routes(routes: APIRouter, service: ProjectService) -> None:
    @routes.get("", dependencies=[requires("read"), fresh("projects")])
    def list_projects(
        page: Paged,
        tenant_id: CurrentTenant,
        *,
        status: Status | None = None,
        client_id: RecordQuery = None,
        member_id: RecordQuery = None,
        q: Text = None,
    ) -> ProjectList:
        """Lists the tenant's projects in the order of their ids; deleted ones are left out.

        `member_id` is the id of a talent. Every word of `q` occurs in name or description; case does not matter.
        """
        wanted = ProjectFilter(tenant_id, status, client_id, member_id, q.split() if q else ())
        found = service.projects.page(wanted, skip=page.skip, limit=page.limit)
        shown = [to_project(project) for project in found.projects]
        return ProjectList.model_validate({"data": shown, **page.listing_fields(found.total)})

    @routes.post("", status_code=201, dependencies=[requires("write")])
    async def create_project(
        body: NewProject, request: CurrentRequest, key: IdempotencyKey, response: Response
    ) -> Project:
        """Creates a project. An unknown client or member is a `422`."""
        project = await to_thread(service.commands.create, body.draft(), service.cause(request), key=key)
        set_etag(response, project.version)
        response.headers["location"] = f"{PREFIX}/{project.id}"
        return to_project(project)


def _add_project_routes(routes: APIRouter, service: ProjectService) -> None:
    @routes.get("/{project_id}", dependencies=[requires("read")])
    def get_project(project_id: Id, tenant_id: CurrentTenant, response: Response, as_of: AsOf = None) -> Project:
        """Returns a project, as it is or as it was at the moment `as_of`."""
        if as_of is not None:
            return to_project(service.past.state_at(tenant_id, project_id, as_of))
        project = service.commands.get(tenant_id, project_id)
        set_etag(response, project.version)
        return to_project(project)

    @routes.put("/{project_id}", dependencies=[requires("write")])
    async def update_project(
        project_id: Id, body: ProjectChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> Project:
        """Changes the given fields of a project. An unknown client or new member is a `422`."""
        cause, changes = service.cause(request), body.changes()
        project = await to_thread(service.commands.update, project_id, changes, cause, check=expected.check)
        set_etag(response, project.version)
        return to_project(project)

    @routes.delete("/{project_id}", dependencies=[requires("write")])
    async def delete_project(project_id: Id, request: CurrentRequest, expected: IfMatch) -> DeletedRecord:
        """Deletes a project: it is hidden, and its history remains. Calls and runs that name it are kept."""
        await to_thread(service.commands.delete, project_id, service.cause(request), check=expected.check)
        return DeletedRecord(id=project_id)

    @routes.get("/{project_id}/history", dependencies=[requires("read")])
    def list_project_history(project_id: Id, tenant_id: CurrentTenant, page: Paged) -> RecordHistory:
        """Lists the events of a project, oldest first. A deleted project has a history too."""
        entries = service.past.history(tenant_id, project_id)
        shown = entries[page.skip : page.skip + page.limit]
        return RecordHistory.model_validate({"data": shown, **page.listing_fields(len(entries))})


def _add_analytics_route(routes: APIRouter, service: ProjectService) -> None:
    views = [fresh(view) for view in ("costs", "chat", "executions", "swarm")]

    @routes.get(
        "/{project_id}/analytics",
        dependencies=[requires("read"), *views],
        response_model=ProjectAnalytics,
        responses=CSV_TOO,
    )
    def get_project_analytics(
        project_id: Id,
        tenant_id: CurrentTenant,
        *,
        first: FirstDay = None,
        last: LastDay = None,
        tz: ZoneQuery = "UTC",
        as_format: FormatQuery = "json",
    ) -> ProjectAnalytics | Response:
        """Returns cost, tokens, conversations and runs that are linked to a project, in all and by day.

        Linked is what was started with `context.project_id`: the project's id as a number or a text. Costs have the
        definitions of `/cost-management/usage`. Days are those of the time zone `tz`, such as `Europe/Berlin`: the last
        30 by default, 366 at most. As CSV it is the table of days.
        """
        found = service.analytics(tenant_id, project_id, first, last, tz)
        return to_table(DailyFigures, found.daily, "project_usage", ("date",)) if as_format == "csv" else found

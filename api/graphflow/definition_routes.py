"""Routes of workflows: the catalogue, definitions and versions."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.graphflow.definition_requests import NO_NUL, ChangesBody, ComponentBody, DefinitionBody, DocumentBody
from api.graphflow.definition_responses import (
    ImportedWorkflow,
    ValidationResult,
    WorkflowDetail,
    WorkflowList,
    WorkflowVersion,
    WorkflowVersions,
    WrittenWorkflow,
    to_validation_result,
    to_workflow_detail,
    to_workflow_summary,
    to_written_workflow,
)
from api.graphflow.definition_service import DefinitionService
from api.graphflow.paths import PREFIX, WorkflowId
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
from api.http.openapi import TAKES_YAML
from api.http.schemas import MAX_INT, DeletedResource
from domain.agents.names import ALI
from domain.graphflow.catalogue.ports import WorkflowFilter

_YAML = {TAKES_YAML: True}
_Number = Annotated[int, Path(ge=1, le=MAX_INT)]
_Version = Annotated[int | None, Query(ge=1, le=MAX_INT, description="The newest by default.")]
_Note = Annotated[str | None, Query(max_length=500, pattern=NO_NUL, description="A note on the changes.")]
_Text = Annotated[str | None, Query(min_length=1, max_length=200, pattern=NO_NUL)]
_Name = Annotated[
    str | None,
    Query(min_length=1, max_length=120, pattern=NO_NUL, description="Its name; by default the team's."),
]
_StandIn = Annotated[
    str, Query(min_length=1, max_length=64, pattern=NO_NUL, description="The agent that replaces unknown ones.")
]


def router(service: DefinitionService) -> APIRouter:
    """Build the routes `/api/v1/workflows`, except those of executions."""
    routes = APIRouter(prefix=PREFIX, tags=["Workflows"])
    _add_catalogue_routes(routes, service)
    _add_creation_routes(routes, service)
    _add_change_routes(routes, service)
    _add_validation_routes(routes, service)
    _add_version_routes(routes, service)
    return routes


def _add_catalogue_routes(routes: APIRouter, service: DefinitionService) -> None:
    reading = [requires("read"), fresh("workflows")]

    @routes.get("", dependencies=reading)
    def list_workflows(
        page: Paged, tenant_id: CurrentTenant, status: Literal["active", "retired"] | None = None, q: _Text = None
    ) -> WorkflowList:
        """Lists the ready-made workflows and the tenant's own; `q` is a part of id, name or description.

        Retired ones are listed only on request.
        """
        found = service.reads.page(WorkflowFilter(tenant_id, status, q), skip=page.skip, limit=page.limit)
        shown = [to_workflow_summary(seen) for seen in found.workflows]
        return WorkflowList.model_validate({"workflows": shown, **page.listing_fields(found.total)})

    @routes.get("/{workflow_id}", dependencies=reading)
    def get_workflow(workflow_id: WorkflowId, tenant_id: CurrentTenant, response: Response) -> WorkflowDetail:
        """Returns one workflow with its newest definition."""
        seen = service.reads.get(tenant_id, workflow_id)
        set_etag(response, seen.row.changes)
        return to_workflow_detail(seen, service.reads.version(tenant_id, workflow_id, seen.row.version))


def _add_creation_routes(routes: APIRouter, service: DefinitionService) -> None:
    @routes.post("", status_code=201, dependencies=[requires("write")], openapi_extra=_YAML)
    async def create_workflow(
        body: DefinitionBody, request: CurrentRequest, key: IdempotencyKey, response: Response, note: _Note = None
    ) -> WrittenWorkflow:
        """Creates a workflow. Its id is derived from its name; one that cannot run is refused with all problems."""
        made = await service.create(body, service.cause(request), key=key, note=note)
        await service.finish_response(request, response, made.standing)
        response.headers["location"] = f"{PREFIX}/{made.standing.workflow_id}"
        return to_written_workflow(made.standing, made.validation)

    @routes.post("/import", status_code=201, dependencies=[requires("write")])
    async def import_workflow(
        body: ComponentBody,
        request: CurrentRequest,
        key: IdempotencyKey,
        response: Response,
        *,
        stand_in: _StandIn = ALI,
        name: _Name = None,
    ) -> ImportedWorkflow:
        """Creates a workflow from an AutoGen GraphFlow component. Parts that cannot be converted are listed."""
        found = await service.convert_component(request.caller.tenant_id, body, stand_in, name)
        made = await service.create(found.definition, service.cause(request), key=key, note="imported from AutoGen")
        await service.finish_response(request, response, made.standing)
        response.headers["location"] = f"{PREFIX}/{made.standing.workflow_id}"
        return ImportedWorkflow.model_validate(
            {**dict(to_written_workflow(made.standing, made.validation)), "notes": found.notes}
        )


def _add_change_routes(routes: APIRouter, service: DefinitionService) -> None:
    @routes.put("/{workflow_id}", dependencies=[requires("write")], openapi_extra=_YAML)
    async def change_workflow(
        workflow_id: WorkflowId,
        body: ChangesBody,
        request: CurrentRequest,
        expected: IfMatch,
        response: Response,
        *,
        note: _Note = None,
    ) -> WrittenWorkflow:
        """Writes a new version with the given fields changed. New executions use it; running ones keep theirs."""
        made = await service.change(workflow_id, body, service.cause(request), expected=expected, note=note)
        await service.finish_response(request, response, made.standing)
        return to_written_workflow(made.standing, made.validation)

    @routes.delete("/{workflow_id}", dependencies=[requires("write")])
    async def retire_workflow(
        workflow_id: WorkflowId, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> DeletedResource:
        """Retires a workflow: it cannot be started any more, running executions go on, and its name becomes free."""
        cause = service.cause(request)
        standing = await asyncio.to_thread(service.commands.retire, workflow_id, cause, check=expected.check)
        await service.finish_response(request, response, standing)
        return DeletedResource(id=workflow_id)


def _add_validation_routes(routes: APIRouter, service: DefinitionService) -> None:
    @routes.post("/validate", dependencies=[requires("read")], openapi_extra=_YAML)
    async def validate_definition(body: DocumentBody, tenant_id: CurrentTenant) -> ValidationResult:
        """Validates a definition: its problems with their places and fixes, and the upper bounds of an execution."""
        return to_validation_result(await service.validate_document(tenant_id, body))

    @routes.post("/{workflow_id}/validate", dependencies=[requires("read")])
    async def validate_workflow(
        workflow_id: WorkflowId, tenant_id: CurrentTenant, version: _Version = None
    ) -> ValidationResult:
        """Validates a version against the current state: an agent that it names may have been retired."""
        standing = await asyncio.to_thread(service.commands.load, tenant_id, workflow_id)
        definition = standing.workflow.version(version).definition
        return to_validation_result(await service.validate(tenant_id, definition, itself=workflow_id))


def _add_version_routes(routes: APIRouter, service: DefinitionService) -> None:
    reading = [requires("read"), fresh("workflows")]

    @routes.get("/{workflow_id}/versions", dependencies=reading)
    def list_workflow_versions(workflow_id: WorkflowId, tenant_id: CurrentTenant, page: Paged) -> WorkflowVersions:
        """Lists all versions of a workflow, newest first."""
        service.reads.get(tenant_id, workflow_id)
        found = service.reads.versions(tenant_id, workflow_id, skip=page.skip, limit=page.limit)
        return WorkflowVersions.model_validate({"data": found.versions, "pagination": page.pagination(found.total)})

    @routes.get("/{workflow_id}/versions/{version}", dependencies=reading)
    def get_workflow_version(workflow_id: WorkflowId, tenant_id: CurrentTenant, version: _Number) -> WorkflowVersion:
        """Returns one version of a workflow."""
        return WorkflowVersion.model_validate(service.reads.version(tenant_id, workflow_id, version))

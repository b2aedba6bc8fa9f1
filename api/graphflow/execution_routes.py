"""Routes of executions."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import ConfigDict, Field, JsonValue

from activities.graphflow.messages import RunControlRequest
from api.graphflow.execution_responses import (
    DeliveredEvent,
    ExecutionList,
    ExecutionRef,
    ExecutionStatus,
    hashes_of,
    to_execution_status,
    to_execution_summary,
)
from api.graphflow.execution_service import ExecutionLocator, ExecutionService, Verb
from api.graphflow.execution_submission import ExecutionSubmission
from api.graphflow.paths import PREFIX, RUN_ID, WorkflowId
from api.http.caller import Caller
from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    Paged,
    fresh,
    joins_on_repeat,
    requires,
)
from api.http.schemas import MAX_INT, MAX_TEXT, Body
from domain.content import ContentStore
from domain.graphflow.execution.ports import ExecutionView, RunFilter, RunReads
from domain.graphflow.execution.views import Status as Standing
from domain.ids import random_id

_MAX_USD = 1_000_000
_ExecutionId = Annotated[str, Path(max_length=128, pattern=RUN_ID)]
_WantedId = Annotated[
    str | None,
    Query(max_length=128, pattern=RUN_ID, description="The newest execution by default."),
]


class ExecutionContext(Body):
    """The context of the execution. Other keys are allowed, and all are available to templates."""

    model_config = ConfigDict(extra="allow", str_max_length=MAX_TEXT)

    user_id: Annotated[str, Field(max_length=128)] | None = None
    project_id: Annotated[str, Field(max_length=128)] | int | None = None


class ExecuteRequest(Body):
    """The input of an execution."""

    input: Annotated[
        dict[str, JsonValue], Field(default_factory=dict, description="Follows the workflow's `input` schema.")
    ]
    context: ExecutionContext = ExecutionContext()
    version: Annotated[int | None, Field(ge=1, le=MAX_INT, description="The newest by default.")] = None
    budget_usd: Annotated[Decimal | None, Field(gt=0, le=_MAX_USD, description="Maximum total cost in US dollars.")] = (
        None
    )


class EventRequest(Body):
    """An event. A node that waits for an event of this name takes it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    payload: Annotated[JsonValue, Field(description="The node's output `payload`.")] = None


@dataclass(frozen=True, slots=True)
class ExecutionRouteServices:
    """The services that the routes call."""

    executions: ExecutionService
    reads: RunReads
    content: ContentStore
    now: Callable[[], datetime]

    async def present(self, seen: ExecutionView) -> ExecutionStatus:
        wanted = hashes_of(seen)
        texts = await asyncio.to_thread(self.content.get, seen.row.execution_id, wanted) if wanted else {}
        return to_execution_status(seen, texts, self.now())


def router(service: ExecutionRouteServices) -> APIRouter:
    """Build the routes of executions below `/api/v1/workflows/{workflow_id}`."""
    routes = APIRouter(prefix=f"{PREFIX}/{{workflow_id}}", tags=["Workflows"])
    _add_start_route(routes, service)
    _add_read_routes(routes, service)
    for verb, does in _CONTROL_DESCRIPTIONS.items():
        _add_control_route(routes, service, verb, does)
    _add_continuation_routes(routes, service)
    return routes


def _add_start_route(routes: APIRouter, service: ExecutionRouteServices) -> None:
    @routes.post("/execute", status_code=202, dependencies=[requires("write"), joins_on_repeat()])
    async def execute_workflow(
        workflow_id: WorkflowId,
        body: ExecuteRequest,
        request: CurrentRequest,
        key: IdempotencyKey,
        response: Response,
    ) -> ExecutionRef:
        """Starts an execution: 202 and a `Location` to poll. It keeps the version that it began with."""
        order = _to_submission(workflow_id, body, request.caller, request.request_id, key)
        begun = await service.executions.execute(order)
        response.headers["location"] = _location(workflow_id, begun.execution_id)
        return begun


def _add_read_routes(routes: APIRouter, service: ExecutionRouteServices) -> None:
    reading = [requires("read"), fresh("executions"), fresh("costs")]

    @routes.get("/status", dependencies=reading)
    async def workflow_status(
        workflow_id: WorkflowId, tenant_id: CurrentTenant, execution_id: _WantedId = None
    ) -> ExecutionStatus:
        """Returns an execution of the caller's tenant: every node with its attempts, output and cost."""
        if execution_id is None:
            return await service.present(await service.executions.read_newest(tenant_id, workflow_id))
        return await service.present(
            await service.executions.read(ExecutionLocator(workflow_id, execution_id, tenant_id))
        )

    @routes.get("/executions", dependencies=reading[:2])
    def list_executions(
        workflow_id: WorkflowId,
        page: Paged,
        tenant_id: CurrentTenant,
        with_status: Annotated[Standing | None, Query(alias="status")] = None,
    ) -> ExecutionList:
        """Lists the executions of a workflow in the caller's tenant, newest first."""
        found = service.reads.page(RunFilter(tenant_id, workflow_id, with_status), skip=page.skip, limit=page.limit)
        return ExecutionList.model_validate(
            {
                "data": [to_execution_summary(row, service.now()) for row in found.runs],
                "pagination": page.pagination(found.total),
            }
        )


_CONTROL_DESCRIPTIONS: dict[Verb, str] = {
    "cancel": "Cancels an execution; completed nodes are undone where they say how. 409 if it is over.",
    "pause": "Pauses an execution; running nodes finish. 409 if it is over.",
    "resume": "Resumes a paused execution. 409 if it is over.",
}


def _add_control_route(routes: APIRouter, service: ExecutionRouteServices, verb: Verb, does: str) -> None:
    async def tell(
        workflow_id: WorkflowId,
        execution_id: _ExecutionId,
        request: CurrentRequest,
        key: IdempotencyKey,
        response: Response,
    ) -> Any:
        place = ExecutionLocator(workflow_id, execution_id, request.caller.tenant_id)
        response.headers["location"] = _location(workflow_id, execution_id)
        asking = RunControlRequest(verb, request.caller.id, _unique_request_id(request.request_id, key))
        return await service.executions.control(place, asking)

    routes.post(
        f"/executions/{{execution_id}}/{verb}",
        response_model=ExecutionRef,
        status_code=202,
        name=f"{verb}_execution",
        description=does,
        dependencies=[requires("write"), fresh("executions")],
    )(tell)


def _add_continuation_routes(routes: APIRouter, service: ExecutionRouteServices) -> None:
    telling = [requires("write"), fresh("executions")]

    @routes.post("/executions/{execution_id}/retry", status_code=202, dependencies=telling)
    async def retry_execution(
        workflow_id: WorkflowId,
        execution_id: _ExecutionId,
        request: CurrentRequest,
        key: IdempotencyKey,
        response: Response,
    ) -> ExecutionRef:
        """Resumes an execution that failed, was rejected or was cancelled, from where it stopped."""
        place = ExecutionLocator(workflow_id, execution_id, request.caller.tenant_id)
        response.headers["location"] = _location(workflow_id, execution_id)
        return await service.executions.retry(place, request.caller.id, _unique_request_id(request.request_id, key))

    @routes.post("/executions/{execution_id}/events", status_code=202, dependencies=telling)
    async def signal_event(
        workflow_id: WorkflowId,
        execution_id: _ExecutionId,
        body: EventRequest,
        tenant_id: CurrentTenant,
        key: IdempotencyKey,
        *,
        response: Response,
    ) -> DeliveredEvent:
        """Delivers an event to an execution: to the node that waits for it, or to the first one that will."""
        place = ExecutionLocator(workflow_id, execution_id, tenant_id)
        event_id = await service.executions.deliver_event(place, body.name, body.payload, key)
        response.headers["location"] = _location(workflow_id, execution_id)
        return DeliveredEvent(execution_id=execution_id, event_id=event_id, name=body.name)


def _location(workflow_id: str, execution_id: str) -> str:
    return f"{PREFIX}/{workflow_id}/status?execution_id={execution_id}"


def _unique_request_id(request_id: str, key: str | None) -> str:
    """Return a unique id of the request: request ids are chosen by callers, and may repeat."""
    return f"{request_id}/{key[:8]}" if key else f"{request_id}/{random_id('r')[-8:]}"


def _to_submission(
    workflow_id: str, body: ExecuteRequest, caller: Caller, request_id: str, key: str | None
) -> ExecutionSubmission:
    context = body.context
    return ExecutionSubmission(
        workflow_id=workflow_id,
        input=body.input,
        key_id=caller.id,
        tenant_id=caller.tenant_id,
        request_id=request_id,
        context=context.model_dump(mode="json", exclude_none=True),
        project_id=str(context.project_id) if context.project_id is not None else None,
        version=body.version,
        budget_usd=body.budget_usd,
        key=key,
    )

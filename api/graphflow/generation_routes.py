"""Route that generates workflows from a description."""

import asyncio
from dataclasses import asdict
from decimal import Decimal
from time import monotonic
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.chat.accepted_work import AcceptedWork
from api.chat.schemas import ChatUsage, to_usage
from api.chat.structured_answers import Requester
from api.graphflow.definition_responses import (
    DefinitionProblem,
    ValidationResult,
    to_validation_result,
    to_written_workflow,
)
from api.graphflow.definition_service import DefinitionService, WrittenDefinition
from api.graphflow.generation_service import Design, DesignRequest, WorkflowDesigner
from api.graphflow.paths import PREFIX
from api.http.dependencies import CurrentCaller, CurrentRequest, IdempotencyKey, requires
from api.http.request_context import RequestContext
from api.http.schemas import Body, SessionName, Timestamp, View
from domain.errors import Conflict
from domain.graphflow.definition.diagram import mermaid
from domain.graphflow.definition.documents import document_of
from domain.graphflow.generation.answer import MOST_REQUIREMENTS
from domain.graphflow.generation.rehearsal import rehearse
from domain.ids import random_id

_NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"
_REHEARSAL_TIMEOUT_S = 5.0
"""Maximum seconds of a rehearsal."""
_MAX_SAME_NAME = 20
"""Maximum number of workflows with the same name, before another is refused."""

_Requirement = Annotated[str, Field(max_length=1_000, pattern=_NOT_BLANK)]
_DryRun = Annotated[bool, Query(description="Store nothing, and rehearse the workflow.")]


class GenerationRequest(Body):
    """The description of a workflow to generate. Without a `name` the model chooses one."""

    description: Annotated[str, Field(max_length=10_000, pattern=_NOT_BLANK)]
    requirements: Annotated[tuple[_Requirement, ...], Field(max_length=MOST_REQUIREMENTS)] = ()
    name: Annotated[str, Field(max_length=120, pattern=_NOT_BLANK)] | None = None


class TracedRequirement(View):
    """A requirement and the nodes that meet it; if it is not met, `how` is the reason. `number` counts from 1."""

    number: int
    requirement: str
    nodes: list[str]
    met: bool
    how: str


class RehearsalPath(View):
    """One path of a rehearsal. `turned` is the condition that was inverted, once; null for the first path.

    `status` is the end of the execution, `cut` if it had too many iterations; `reason` explains a failure.
    """

    turned: str | None
    status: Literal["completed", "failed", "rejected", "cancelled", "cut"]
    visited: list[str]
    skipped: list[str]
    ends: list[str]
    reason: str | None


class RehearsalResult(View):
    """The paths of a workflow with sample outputs: no model and no tool was called for it.

    Approvals were given and waits ended at once; templates and conditions were evaluated. `visited` nodes ran in some
    path, `skipped` in none; `problems` are expressions that failed on these outputs; `complete`: each condition was
    tried both ways.
    """

    visited: list[str]
    skipped: list[str]
    ends: list[str]
    problems: list[DefinitionProblem]
    walks: list[RehearsalPath]
    complete: bool


class GeneratedWorkflow(View):
    """A workflow generated from a description. `attempts` is the number of the model's answers.

    `session_id` is the chat in which it was generated. A dry run stores nothing: `id` and the other fields of a stored
    workflow are null, and `rehearsal` is set.
    """

    id: str | None
    name: str
    description: str
    status: Literal["active", "retired"] | None
    steps: int
    version: int | None
    created_at: Timestamp | None
    updated_at: Timestamp | None
    fingerprint: str | None
    note: str | None
    definition: dict[str, Any]
    mermaid: str
    validation: ValidationResult
    requirements: list[TracedRequirement]
    attempts: int
    usage: ChatUsage
    session_id: SessionName
    rehearsal: RehearsalResult | None = None


def router(designer: WorkflowDesigner, service: DefinitionService) -> APIRouter:
    """Build the route `/api/v1/workflows/generate`."""
    routes = APIRouter(prefix=PREFIX, tags=["Workflows"])

    @routes.post(
        "/generate",
        status_code=201,
        responses={
            200: {"model": GeneratedWorkflow, "description": "A dry run: nothing is stored."},
            202: {"model": AcceptedWork, "description": "Not generated yet; repeat the request with the same key."},
        },
        dependencies=[requires("write")],
    )
    async def generate_workflow(
        body: GenerationRequest,
        request: CurrentRequest,
        caller: CurrentCaller,
        key: IdempotencyKey,
        response: Response,
        *,
        dry_run: _DryRun = False,
    ) -> GeneratedWorkflow:
        """Generates a workflow from a description: validated, corrected up to twice, requirements traced to nodes."""
        wish = DesignRequest(
            body.description.strip(), tuple(each.strip() for each in body.requirements), _strip_name(body.name)
        )
        design = await designer.design(wish, Requester(caller.id, caller.tenant_id, request.request_id, key))
        if dry_run:
            response.status_code = 200
            return await _rehearse(wish, design)
        made = await _create_workflow(service, wish, design, request, key)
        await service.finish_response(request, response, made.standing)
        response.headers["location"] = f"{PREFIX}/{made.standing.workflow_id}"
        kept = dict(to_written_workflow(made.standing, made.validation))
        return GeneratedWorkflow.model_validate({**_describe_design(wish, design), **kept})

    return routes


def _strip_name(name: str | None) -> str | None:
    return name.strip() if name else None


async def _create_workflow(
    service: DefinitionService, wish: DesignRequest, design: Design, request: RequestContext, key: str | None
) -> WrittenDefinition:
    """Create the workflow; if a name that the model chose is taken, a number is appended."""
    once = key or random_id("generate")
    name = design.definition.name
    for number in range(1, _MAX_SAME_NAME + 1):
        called = name if number == 1 else f"{name[:115]} {number}"
        definition = design.definition.model_copy(update={"name": called})
        try:
            cause, note = service.cause(request), "generated from a description"
            return await service.create(definition, cause, key=f"{once}:{number}", note=note)
        except Conflict as error:
            if wish.name is not None or error.details.get("field") != "name" or number == _MAX_SAME_NAME:
                raise
    raise AssertionError("the last try returns or raises")


async def _rehearse(wish: DesignRequest, design: Design) -> GeneratedWorkflow:
    end = monotonic() + _REHEARSAL_TIMEOUT_S
    shown = await asyncio.to_thread(rehearse, design.definition, is_late=lambda: monotonic() > end)
    return GeneratedWorkflow.model_validate({**_describe_design(wish, design), "rehearsal": asdict(shown)})


def _describe_design(wish: DesignRequest, design: Design) -> dict[str, Any]:
    """Return the fields that are known before the workflow is stored."""
    said, definition = design.said, design.definition
    kept = dict.fromkeys(("id", "status", "version", "created_at", "updated_at", "fingerprint", "note"))
    return {
        **kept,
        "name": definition.name,
        "description": definition.description,
        "steps": len(definition.nodes),
        "definition": document_of(definition),
        "mermaid": mermaid(definition),
        "validation": to_validation_result(design.validation),
        "requirements": [
            {**asdict(one), "number": one.requirement, "requirement": wish.requirements[one.requirement - 1]}
            for one in sorted(design.requirements, key=lambda one: one.requirement)
        ],
        "attempts": design.attempts,
        "usage": to_usage(said.prompt_tokens, said.completion_tokens, Decimal(said.cost)),
        "session_id": design.session_id,
    }

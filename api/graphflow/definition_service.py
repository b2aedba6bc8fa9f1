"""Service of workflow definitions: validates them, then records them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response

from activities.graphflow.validation import DefinitionValidator, refuse_invalid
from api.graphflow.definition_requests import parse_definition, to_failed_validation
from api.http.dependencies import ExpectedVersion, Positions, set_etag
from api.http.request_context import RequestContext
from domain.agents.ports import AgentFilter, AgentReads
from domain.errors import Invalid, VersionConflict
from domain.events import Cause
from domain.graphflow.autogen.importer import ImportedTeam, import_team
from domain.graphflow.catalogue.commands import WorkflowCommands, WorkflowState
from domain.graphflow.catalogue.ports import WorkflowReads
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.model import Definition
from domain.graphflow.validation.problems import Validation
from domain.ids import random_id

"""The agent that replaces unknown ones of an import by default."""

_MAX_AGENTS = 100_000
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True)
class WrittenDefinition:
    """A workflow after a change, and the validation of its newest version."""

    standing: WorkflowState
    validation: Validation


@dataclass(frozen=True, slots=True)
class DefinitionService:
    """The service that the routes call."""

    commands: WorkflowCommands
    reads: WorkflowReads
    agents: AgentReads
    proving: DefinitionValidator
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def create(
        self, definition: Definition, cause: Cause, *, key: str | None, note: str | None
    ) -> WrittenDefinition:
        """Create a workflow.

        Raises:
            Invalid: it cannot run; `errors` name each place.
            Conflict: another workflow has its name.
        """
        validation = await self._require_valid(cause.tenant_id, definition, None)
        once = f"workflow.create:{key or random_id('create')}"
        standing = await asyncio.to_thread(self.commands.create, definition, cause, key=once, note=note)
        return WrittenDefinition(standing, validation)

    async def change(
        self, workflow_id: str, changes: Mapping[str, Any], cause: Cause, *, expected: ExpectedVersion, note: str | None
    ) -> WrittenDefinition:
        """Write down the next version: the newest with these fields in the place of its own.

        Raises:
            NotFound: there is no such workflow.
            Forbidden: it is ready-made.
            PreconditionFailed: it does not stand as the caller knows it.
            Invalid: it could not run; `errors` name each place.
            Conflict: it is retired, its new name is another's, or others change it all the time.
        """
        for _ in range(_ATTEMPTS):
            standing = await asyncio.to_thread(self.commands.load, cause.tenant_id, workflow_id)
            expected.check(standing.workflow.changes)
            definition = parse_definition({**standing.workflow.newest.document, **changes})
            validation = await self._require_valid(cause.tenant_id, definition, workflow_id)
            try:
                after = await asyncio.to_thread(self.commands.redefine, standing, definition, cause, note=note)
            except VersionConflict:
                continue
            return WrittenDefinition(after, validation)
        raise VersionConflict("concurrent changes of this workflow prevented this one", workflow_id=workflow_id)

    async def validate_document(self, tenant_id: str, document: Any) -> Validation:
        """Validate a document, which may not be a definition at all."""
        try:
            definition = definition_from(document)
        except Invalid as error:
            return to_failed_validation(error)
        return await self.validate(tenant_id, definition)

    async def convert_component(
        self, tenant_id: str, component: Any, stand_in: str, name: str | None = None
    ) -> ImportedTeam:
        """Convert a component of AutoGen to a workflow, under its own name or the given one.

        Raises:
            Invalid: it is not a GraphFlow component, or `lost` lists parts that cannot be converted.
        """
        await self.positions.wait("agents")
        wanted = AgentFilter(tenant_id, status="active")
        found = await asyncio.to_thread(self.agents.page, wanted, skip=0, limit=_MAX_AGENTS)
        agents = {agent.id for agent in found.agents}
        if stand_in not in agents:
            reason = f"there is no agent {stand_in}, or it is not deployed"
            raise Invalid(f"stand_in: {reason}", field="stand_in", reason=reason)
        return import_team(component, agents=agents, stand_in=stand_in, name=name)

    async def finish_response(self, request: RequestContext, response: Response, standing: WorkflowState) -> None:
        """Finish the response once the catalogue shows the change, so that the caller's next request sees it."""
        set_etag(response, standing.workflow.changes)
        if not await self.positions.wait("workflows"):
            request.add_header("X-Convergio-Stale", "true")

    async def validate(self, tenant_id: str, definition: Definition, *, itself: str | None = None) -> Validation:
        """Validate a definition against all agents and workflows recorded until now."""
        for view in ("agents", "workflows"):
            await self.positions.wait(view)
        return await self.proving.validate(tenant_id, definition, itself=itself)

    async def _require_valid(self, tenant_id: str, definition: Definition, itself: str | None) -> Validation:
        validation = await self.validate(tenant_id, definition, itself=itself)
        refuse_invalid(validation)
        return validation

"""What is done to workflows over HTTP: proven first, then written down."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Response

from activities.graphflow.validation import Proving, refuse_flawed
from api.graphflow.definition_requests import no_definition, read
from api.http.dependencies import Expected, Positions, set_etag
from api.http.request_context import RequestContext
from domain.agents.ports import AgentFilter, AgentReads
from domain.errors import Invalid, VersionConflict
from domain.events import Cause
from domain.graphflow.autogen.importer import Imported, imported
from domain.graphflow.catalogue.commands import Standing, WorkflowCommands
from domain.graphflow.catalogue.ports import WorkflowReads
from domain.graphflow.definition.documents import of_document
from domain.graphflow.definition.model import Definition
from domain.graphflow.validation.problems import Validation
from domain.ids import random_id

STAND_IN = "ali_chief_of_staff"
"""The agent that takes the parts of those who are not registered here, unless another is named."""

_ALL_AGENTS = 100_000
_TRIES = 4


@dataclass(frozen=True, slots=True)
class Written:
    """A workflow as it stands now, and what was proven of its newest version."""

    standing: Standing
    validation: Validation


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work with."""

    commands: WorkflowCommands
    reads: WorkflowReads
    agents: AgentReads
    proving: Proving
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Who asks for a change, and why."""
        return Cause(by=request.caller.id, because=request.request_id, at=self.now())

    async def create(self, definition: Definition, cause: Cause, *, key: str | None, note: str | None) -> Written:
        """Write down a new workflow.

        Raises:
            Invalid: it cannot run; `errors` name each place.
            Conflict: its name is another's.
        """
        validation = await self._sound(definition, None)
        once = f"workflow.create:{key or random_id('create')}"
        standing = await asyncio.to_thread(self.commands.create, definition, cause, key=once, note=note)
        return Written(standing, validation)

    async def change(
        self, workflow_id: str, changes: Mapping[str, Any], cause: Cause, *, expected: Expected, note: str | None
    ) -> Written:
        """Write down the next version: the newest with these fields in the place of its own.

        Raises:
            NotFound: there is no such workflow.
            PreconditionFailed: it does not stand as the caller knows it.
            Invalid: it could not run; `errors` name each place.
            Conflict: it is retired, its new name is another's, or others change it all the time.
        """
        for _ in range(_TRIES):
            standing = await asyncio.to_thread(self.commands.standing, workflow_id)
            expected.check(standing.workflow.changes)
            definition = read({**standing.workflow.newest.document, **changes})
            validation = await self._sound(definition, workflow_id)
            try:
                after = await asyncio.to_thread(self.commands.redefine, standing, definition, cause, note=note)
            except VersionConflict:
                continue
            return Written(after, validation)
        raise VersionConflict("others change this workflow all the time", workflow_id=workflow_id)

    async def validated(self, document: Any) -> Validation:
        """What is wrong with a document, if anything."""
        try:
            definition = of_document(document)
        except Invalid as error:
            return no_definition(error)
        return await self.proven(definition)

    async def imported(self, component: Any, stand_in: str, name: str | None = None) -> Imported:
        """The workflow that a component of AutoGen is, under its own name or this one.

        Raises:
            Invalid: it is none, or `lost` lists what cannot be carried over.
        """
        await self.positions.wait("agents")
        found = await asyncio.to_thread(self.agents.page, AgentFilter(status="active"), skip=0, limit=_ALL_AGENTS)
        agents = {agent.id for agent in found.agents}
        if stand_in not in agents:
            reason = f"there is no agent {stand_in}, or it is not deployed"
            raise Invalid(f"stand_in: {reason}", field="stand_in", reason=reason)
        return imported(component, agents=agents, stand_in=stand_in, name=name)

    async def answered(self, request: RequestContext, response: Response, standing: Standing) -> None:
        """Answer when the catalogue shows what was written: who reads or runs after this answer meets it."""
        set_etag(response, standing.workflow.changes)
        if not await self.positions.wait("workflows"):
            request.add_header("X-Convergio-Stale", "true")

    async def proven(self, definition: Definition, *, itself: str | None = None) -> Validation:
        """Whether a definition can run, by all that was written down until now."""
        for view in ("agents", "workflows"):
            await self.positions.wait(view)
        return await self.proving.prove(definition, itself=itself)

    async def _sound(self, definition: Definition, itself: str | None) -> Validation:
        validation = await self.proven(definition, itself=itself)
        refuse_flawed(validation)
        return validation

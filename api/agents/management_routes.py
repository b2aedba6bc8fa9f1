"""Routes that create, change, deploy and retire agents."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.agents.schemas import (
    NEWEST,
    NO_NUL,
    AgentChanges,
    AgentVersion,
    AgentVersions,
    DeployedAgent,
    Deployment,
    ManagedAgent,
    NewAgent,
    to_agent_version,
    to_deployed_agent,
    to_managed_agent,
)
from api.http.dependencies import (
    CurrentRequest,
    CurrentTenant,
    IdempotencyKey,
    IfMatch,
    Paged,
    Positions,
    fresh,
    requires,
    set_etag,
)
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT, DeletedResource
from domain.agents.aggregate import RegisteredAgent
from domain.agents.commands import AgentCommands
from domain.agents.ports import AgentReads, ModelCatalogue
from domain.errors import Invalid
from domain.events import Cause
from domain.ids import random_id

PREFIX = "/api/v1/agent-management"
_Id = Annotated[str, Path(max_length=64, pattern=NO_NUL)]


@dataclass(frozen=True, slots=True)
class AgentManagement:
    """The services that the routes call."""

    commands: AgentCommands
    agents: AgentReads
    models: ModelCatalogue
    positions: Positions
    now: Callable[[], datetime]

    def cause(self, request: RequestContext) -> Cause:
        """Return the cause of a change: the caller, the request and the time."""
        return request.cause(self.now())

    async def require_known_models(self, body: NewAgent | AgentChanges) -> None:
        """Return if the models exist that are given.

        Raises:
            Invalid: neither the provider nor the price list has it.
            domain.errors.Unavailable: neither can be asked now.
        """
        named = [("model", body.model), *(("fallback_models", each) for each in body.fallback_models or ())]
        for field, model in named:
            if model is not None and not await self.models.has_model(model):
                reason = f"unknown: neither the provider nor the price list has {model}"
                raise Invalid(f"{field}: {reason}", field=field, reason=reason)

    async def finish_response(self, request: RequestContext, response: Response, agent: RegisteredAgent) -> None:
        """Finish the response once the registry shows the change, so that the caller's next read sees it."""
        set_etag(response, agent.changes)
        if not await self.positions.wait("agents"):
            request.add_header("X-Convergio-Stale", "true")


def router(service: AgentManagement) -> APIRouter:
    """`/api/v1/agent-management`."""
    routes = APIRouter(prefix=PREFIX, tags=["Agent Management"], dependencies=[fresh("agents")])
    _add_definition_routes(routes, service)
    _add_deployment_routes(routes, service)
    _add_read_routes(routes, service)
    return routes


def _add_definition_routes(routes: APIRouter, service: AgentManagement) -> None:
    @routes.post("/create", status_code=201, dependencies=[requires("write")])
    async def create(body: NewAgent, request: CurrentRequest, key: IdempotencyKey, response: Response) -> ManagedAgent:
        """Creates an agent, or recreates a deleted one. It cannot be used before it is deployed."""
        await service.require_known_models(body)
        definition, once = body.definition(), f"agent.create:{key or random_id('create')}"
        agent = await asyncio.to_thread(service.commands.create, definition, service.cause(request), key=once)
        await service.finish_response(request, response, agent)
        response.headers["location"] = f"{PREFIX}/{agent.versions[-1].definition.id}"
        return to_managed_agent(agent)

    @routes.put("/{agent_id}", dependencies=[requires("write")])
    async def update(
        agent_id: _Id, body: AgentChanges, request: CurrentRequest, expected: IfMatch, response: Response
    ) -> ManagedAgent:
        """Writes a new version with the given fields changed. New work uses it once it is deployed."""
        await service.require_known_models(body)
        changes, cause = body.changes(), service.cause(request)
        agent = await asyncio.to_thread(service.commands.update, agent_id, changes, cause, check=expected.check)
        await service.finish_response(request, response, agent)
        return to_managed_agent(agent)


def _add_deployment_routes(routes: APIRouter, service: AgentManagement) -> None:
    @routes.post("/{agent_id}/deploy", dependencies=[requires("write")])
    async def deploy(
        agent_id: _Id, request: CurrentRequest, key: IdempotencyKey, response: Response, body: Deployment = NEWEST
    ) -> DeployedAgent:
        """Deploys a version for new work: the newest, or an older one to roll back. No restart is needed."""
        once, cause = f"agent.deploy:{key or random_id('deploy')}", service.cause(request)
        agent = await asyncio.to_thread(
            service.commands.deploy, agent_id, body.version, body.environment, cause, key=once
        )
        await service.finish_response(request, response, agent)
        return to_deployed_agent(agent_id, agent)

    @routes.delete("/{agent_id}", dependencies=[requires("write")])
    async def retire(agent_id: _Id, request: CurrentRequest, expected: IfMatch, response: Response) -> DeletedResource:
        """Retires an agent: no new work uses it; running work keeps its version. Its names become free."""
        cause = service.cause(request)
        agent = await asyncio.to_thread(service.commands.retire, agent_id, cause, check=expected.check)
        await service.finish_response(request, response, agent)
        return DeletedResource(id=agent_id)


def _add_read_routes(routes: APIRouter, service: AgentManagement) -> None:
    @routes.get("/{agent_id}", dependencies=[requires("read")])
    async def get_agent(agent_id: _Id, tenant_id: CurrentTenant, response: Response) -> ManagedAgent:
        """Returns an agent as its newest version describes it, deployed or not."""
        agent = await asyncio.to_thread(service.commands.load, tenant_id, agent_id)
        set_etag(response, agent.changes)
        return to_managed_agent(agent)

    @routes.get("/{agent_id}/versions", dependencies=[requires("read")])
    def list_versions(agent_id: _Id, tenant_id: CurrentTenant, page: Paged) -> AgentVersions:
        """Lists all versions of an agent, newest first."""
        agent = service.agents.get(tenant_id, agent_id)
        found = service.agents.versions(tenant_id, agent.id, skip=page.skip, limit=page.limit)
        return AgentVersions.model_validate(
            {
                "data": [to_agent_version(agent, row) for row in found.versions],
                "pagination": page.pagination(found.total),
            }
        )

    @routes.get("/{agent_id}/versions/{version}", dependencies=[requires("read")])
    def get_version(
        agent_id: _Id, tenant_id: CurrentTenant, version: Annotated[int, Path(ge=1, le=MAX_INT)]
    ) -> AgentVersion:
        """Returns one version of an agent."""
        agent = service.agents.get(tenant_id, agent_id)
        return to_agent_version(agent, service.agents.version(tenant_id, agent.id, version))

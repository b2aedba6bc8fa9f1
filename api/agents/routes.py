"""Routes of the agent registry."""

from asyncio import to_thread
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from api.agents.model_status import AgentModels
from api.http.dependencies import CurrentTenant, Paged, fresh, requires, set_etag
from api.http.schemas import Listing, Timestamp, View
from domain.agents.ports import AgentFilter, AgentReads
from domain.tools.ports import Toolbox

_NO_NUL = r"^[^\x00]*$"
_Text = Annotated[str | None, Query(min_length=1, max_length=200, pattern=_NO_NUL)]
_Id = Annotated[str, Path(max_length=64, pattern=_NO_NUL, description="Its id, or one of its aliases.")]


class Agent(View):
    """An agent as its deployed version describes it, or its newest one if none is deployed.

    `version` counts every change; `deployed_version` and `newest_version` are numbers of definitions. `approval` is the
    risk level at which its answers need approval. `fallback_models` are called, in this order, while calls to the model
    before cannot succeed.
    """

    id: str
    name: str
    description: str
    status: Literal["active", "inactive"]
    capabilities: list[str]
    tools: list[str]
    color: str
    version: int
    aliases: list[str]
    model: str | None
    temperature: float | None
    fingerprint: str
    deployed_version: int | None
    created_at: Timestamp
    updated_at: Timestamp
    approval: Literal["none", "low", "medium", "high", "critical"]
    environment: str | None
    newest_version: int
    retired_at: Timestamp | None
    fallback_models: list[str]


class AgentList(Listing):
    """Agents in the order of their ids."""

    agents: list[Agent]


class AgentTool(View):
    """A tool that the agent's definition names.

    `unavailable`: its server cannot be reached or does not list it, or the agent's model does not support tools;
    `quarantined`: its server lists it in an unusable form; `not_configured`: this deployment has no such tool. `reason`
    gives details.
    """

    name: str
    state: Literal["offered", "not_configured", "unavailable", "quarantined"]
    reason: str | None


class ModelRefusal(View):
    """A part of requests that the model refused: `tools`, `schema`, `schema_with_tools`, or a parameter's name.

    Workers that saw the refusal leave the part out `until` then. The ledger of calls has the refusal itself.
    """

    refused: str
    at: Timestamp
    until: Timestamp


class AgentTools(View):
    """The tools of an agent in the order of its definition; `server__*` is expanded to the server's tools.

    `model` is the agent's model, and `model_refusals` its refusals of the last hour.
    """

    agent_id: str
    model: str
    model_refusals: list[ModelRefusal]
    tools: list[AgentTool]


def router(agents: AgentReads, toolbox: Toolbox, models: AgentModels) -> APIRouter:
    """Build the routes `/api/v1/agents` and `/api/v1/agents/{agent_id}`.

    Routes below `/agents` with a fixed name must be registered before them.
    """
    routes = APIRouter(prefix="/api/v1/agents", tags=["AI Agents"], dependencies=[requires("read"), fresh("agents")])

    @routes.get("")
    def list_agents(
        page: Paged,
        tenant_id: CurrentTenant,
        *,
        status: Literal["active", "inactive"] | None = None,
        capability: _Text = None,
        q: _Text = None,
    ) -> AgentList:
        """Lists the built-in agents and the tenant's own.

        `capability` is a whole phrase, `q` a part of id, name, description or capability.

        Retired agents are left out unless `status` is `inactive`.
        """
        found = agents.page(AgentFilter(tenant_id, status, capability, q), skip=page.skip, limit=page.limit)
        return AgentList.model_validate({"agents": found.agents, **page.listing_fields(found.total)})

    @routes.get("/{agent_id}")
    def get_agent(agent_id: _Id, tenant_id: CurrentTenant, response: Response) -> Agent:
        """Returns one agent, by its id or an alias."""
        agent = agents.get(tenant_id, agent_id)
        set_etag(response, agent.version)
        return Agent.model_validate(agent)

    @routes.get("/{agent_id}/tools", dependencies=[fresh("costs")])
    async def list_agent_tools(agent_id: _Id, tenant_id: CurrentTenant) -> AgentTools:
        """Returns the state of each tool that an agent names, and the refusals of its model.

        MCP servers are queried, which takes some seconds if one does not answer.
        """
        agent = await to_thread(agents.get, tenant_id, agent_id)
        model = await to_thread(models.status, agent)
        tools = list(model.states(await toolbox.states(agent.tools)))
        told = {"agent_id": agent.id, "model": model.model, "model_refusals": model.refusals, "tools": tools}
        return AgentTools.model_validate(told)

    return routes

"""Routes of the agent ecosystem."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.ecosystem.schemas import AgentHealthReport, EcosystemHealth
from api.ecosystem.service import EcosystemService
from api.http.dependencies import CurrentTenant, Paged, fresh, requires
from domain.ecosystem.policy import WindowName

_Window = Annotated[WindowName, Query(description="The time span up to now that is judged.")]
_AgentId = Annotated[str, Path(max_length=64, pattern=r"^[^\x00]*$", description="Its id, or one of its aliases.")]
_VIEWS = ("agents", "chat", "costs")


def router(service: EcosystemService) -> APIRouter:
    """Build the routes `/ecosystem`."""
    routes = APIRouter(
        prefix="/ecosystem",
        tags=["Agent Ecosystem"],
        dependencies=[requires("read"), *(fresh(view) for view in _VIEWS)],
    )

    @routes.get("/health")
    def get_ecosystem_health(tenant_id: CurrentTenant, page: Paged, window: _Window = "1h") -> EcosystemHealth:
        """Returns the health of all agents: counts, and the status of each with its reasons.

        It is judged by the turns of the caller's tenant in the window; `rule` has the limits. An agent without turns is
        `healthy` and says `measured: false`.
        """
        return service.health(tenant_id, window, page)

    @routes.get("/agents/{agent_id}/health")
    def get_agent_health(agent_id: _AgentId, tenant_id: CurrentTenant, window: _Window = "1h") -> AgentHealthReport:
        """Returns the health of one agent, by its id or an alias, with its reasons and the rule."""
        return service.agent_health(tenant_id, agent_id, window)

    return routes

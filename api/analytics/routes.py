"""Routes of analytics."""

from fastapi import APIRouter, Response

from api.analytics.parameters import Window
from api.analytics.schemas import (
    AgentAnalytics,
    AgentAnalyticsList,
    DailyTrend,
    Dashboard,
    UsageAnalytics,
    UsageOnDay,
)
from api.analytics.service import AnalyticsService
from api.http.dependencies import CurrentTenant, Paged, fresh, requires
from api.tables.figures import CSV_TOO, FormatQuery, to_table

_VIEWS = ("agents", "chat", "costs", "executions", "ratings", "swarm")


def router(service: AnalyticsService) -> APIRouter:
    """Build the routes `/api/v1/analytics`."""
    routes = APIRouter(
        prefix="/api/v1/analytics",
        tags=["Analytics"],
        dependencies=[requires("read"), *(fresh(view) for view in _VIEWS)],
    )

    @routes.get("/dashboard", response_model=Dashboard, responses=CSV_TOO)
    def get_dashboard(tenant_id: CurrentTenant, asked: Window, as_format: FormatQuery = "json") -> Dashboard | Response:
        """Returns the key figures of the caller's tenant in a period, and their trend by day.

        Costs have the definitions of `/cost-management/usage`. As CSV it is the table `daily_usage`.
        """
        found = service.dashboard(tenant_id, asked)
        if as_format == "csv":
            return to_table(DailyTrend, found.trends.daily_usage, "daily_usage")
        return found

    @routes.get("/agents", response_model=AgentAnalyticsList, responses=CSV_TOO)
    def list_agent_analytics(
        tenant_id: CurrentTenant, asked: Window, page: Paged, as_format: FormatQuery = "json"
    ) -> AgentAnalyticsList | Response:
        """Lists the agents that did anything in a period, with cost, response times and success.

        An agent's figures are those of the caller's tenant. As CSV it is the same page.
        """
        found = service.list_agents(tenant_id, asked, page)
        return to_table(AgentAnalytics, found.data, "agents", ("agent_id",)) if as_format == "csv" else found

    @routes.get("/usage", response_model=UsageAnalytics, responses=CSV_TOO)
    def get_usage_analytics(
        tenant_id: CurrentTenant, asked: Window, as_format: FormatQuery = "json"
    ) -> UsageAnalytics | Response:
        """Returns cost, tokens, conversations and runs of the caller's tenant in a period, in all and by day.

        Days are those of the time zone, without gaps: 366 at most. As CSV it is the table of days.
        """
        found = service.usage(tenant_id, asked)
        return to_table(UsageOnDay, found.daily, "usage", ("date",)) if as_format == "csv" else found

    return routes

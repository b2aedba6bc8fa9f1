"""Composes the tools of this deployment from the settings."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from activities.tools.toolbox.analytics import QueryAnalytics
from activities.tools.toolbox.costs import QueryCosts
from activities.tools.toolbox.knowledge import SearchKnowledge
from activities.tools.toolbox.projects import QueryProjects
from activities.tools.toolbox.registry import JoinedToolbox
from activities.tools.toolbox.talents import FindTalents
from activities.tools.toolbox.workflow_tools import DELEGATE, REQUEST_APPROVAL
from adapters.mcp.config import read_mcp_servers
from adapters.postgres.costs import PostgresCosts
from adapters.postgres.figures.analytics import PostgresAnalytics
from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.positions import head_and_position
from adapters.postgres.records.project_usage import PostgresProjectUsage
from adapters.postgres.records.projects import PostgresProjects
from adapters.postgres.records.talents import PostgresTalents
from adapters.web.fetch import WebFetch
from domain.tools.ports import Knowledge, Tool, ToolSource
from runtime.settings import Settings


def make_toolbox(
    settings: Settings, database: Database, now: Callable[[], datetime], knowledge: Knowledge
) -> JoinedToolbox:
    """Return all configured tools. Nothing is connected before it is needed; close it at the end.

    Raises:
        domain.errors.Invalid: the file of MCP servers cannot be used.
    """
    costs = QueryCosts(PostgresCosts(database), partial(head_and_position, database, "costs"), now)
    projects = QueryProjects(PostgresProjects(database), PostgresProjectUsage(database))
    talents, analytics = FindTalents(PostgresTalents(database)), QueryAnalytics(PostgresAnalytics(database), now)
    tools: list[Tool] = [SearchKnowledge(knowledge), talents, projects, costs, analytics]
    if settings.web_fetch == "on":
        tools.append(WebFetch())
    return JoinedToolbox(tools, (DELEGATE, REQUEST_APPROVAL), _mcp(settings))


def _mcp(settings: Settings) -> dict[str, ToolSource]:
    if settings.mcp_servers is None:
        return {}
    from adapters.mcp.tools import McpTools  # noqa: PLC0415  (importing takes half a second, needed with servers only)

    return {name: McpTools(name, server) for name, server in read_mcp_servers(settings.mcp_servers).items()}

"""The tools of this deployment, as the settings name them."""

from collections.abc import Callable
from datetime import datetime
from functools import partial

from activities.toolbox.box import JoinedToolbox
from activities.toolbox.by_workflow import DELEGATE, REQUEST_APPROVAL
from activities.toolbox.costs import QueryCosts
from activities.toolbox.knowledge import SearchKnowledge
from adapters.mcp_servers import read_mcp_servers
from adapters.postgres.costs import PostgresCosts
from adapters.postgres.pool import Database
from adapters.postgres.positions import head_and_position
from adapters.web_fetch import WebFetch
from domain.tools.ports import NoKnowledge, Tool, ToolSource
from runtime.settings import Settings


def make_toolbox(settings: Settings, database: Database, now: Callable[[], datetime]) -> JoinedToolbox:
    """All tools that are configured. Nothing is connected before it is needed; close it in the end.

    Raises:
        domain.errors.Invalid: the file of MCP servers cannot be used.
    """
    costs = QueryCosts(PostgresCosts(database), partial(head_and_position, database, "costs"), now)
    tools: list[Tool] = [SearchKnowledge(NoKnowledge()), costs]
    if settings.web_fetch == "on":
        tools.append(WebFetch())
    return JoinedToolbox(tools, (DELEGATE, REQUEST_APPROVAL), _mcp(settings))


def _mcp(settings: Settings) -> dict[str, ToolSource]:
    if settings.mcp_servers is None:
        return {}
    from adapters.mcp_tools import McpTools  # noqa: PLC0415  (half a second that a start without servers need not take)

    return {name: McpTools(name, server) for name, server in read_mcp_servers(settings.mcp_servers).items()}

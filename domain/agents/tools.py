"""The names of the tools that agents may be given."""

import re
from collections.abc import Collection, Iterable

from domain.errors import Invalid

TOOLS = (
    "search_knowledge",
    "find_talents",
    "query_projects",
    "query_costs",
    "query_analytics",
    "delegate",
    "run_workflow",
    "request_approval",
    "web_fetch",
    "web_search",
)

ALIASES = {
    "Task": "delegate",
    "Read": "search_knowledge",
    "Write": "request_approval",
    "WebSearch": "web_search",
    "database_query": "query_analytics",
}
"""Tool names of other platforms' clients, and the nearest tool of this one."""

_OF_A_SERVER = re.compile(r"(?P<server>[A-Za-z0-9-]+(?:_[A-Za-z0-9-]+)*)__(?:\*|[A-Za-z0-9_-]+)")


def canonical(tools: Iterable[str]) -> tuple[str, ...]:
    """Return the names with their aliases replaced, each once, in order."""
    return tuple(dict.fromkeys(ALIASES.get(tool, tool) for tool in tools))


def refuse_unknown(tools: Iterable[str], servers: Collection[str] = ()) -> None:
    """Return if all tools are known: the platform's, or `server__tool` and `server__*` of one of these MCP servers.

    Raises:
        Invalid: one is not; `field` is `tools`, and `reason` names it and the known ones.
    """
    unknown = [tool for tool in tools if tool not in TOOLS and not _of_one_of(servers, tool)]
    if unknown:
        known = (*TOOLS, *(f"{server}__*" for server in sorted(servers)))
        reason = f"unknown: {', '.join(unknown)}; known are {', '.join(known)}"
        raise Invalid(f"tools: {reason}", field="tools", reason=reason)


def _of_one_of(servers: Collection[str], tool: str) -> bool:
    match = _OF_A_SERVER.fullmatch(tool)
    return match is not None and match["server"] in servers and len(tool) <= 64  # noqa: PLR2004  (a tool name's length)

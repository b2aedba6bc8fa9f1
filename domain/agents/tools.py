"""The tools that an agent may be given, by name."""

from collections.abc import Iterable

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


def refuse_unknown(tools: Iterable[str]) -> None:
    """Return if all tools are known.

    Raises:
        Invalid: one is not; `field` is `tools`, and `reason` names it and the known ones.
    """
    unknown = [tool for tool in tools if tool not in TOOLS]
    if unknown:
        reason = f"unknown: {', '.join(unknown)}; known are {', '.join(TOOLS)}"
        raise Invalid(f"tools: {reason}", field="tools", reason=reason)

"""`query_analytics`: what the agents of a tenant have done, how fast and how well."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args

import orjson

from domain.analytics.ports import AgentFigures, AnalyticsReads, TurnQuality
from domain.analytics.windows import WindowName, WindowRequest, resolve_window
from domain.tools.ports import ToolContext, ToolResult
from domain.tools.spec import ToolSpec
from domain.usage import UsageFigures, UsagePeriod, sum_usage

MOST_ROWS = 50
SOURCES = tuple(f"projection:{view}" for view in ("chat", "costs", "executions", "ratings", "swarm"))
_SPEC = ToolSpec(
    name="query_analytics",
    description=(
        "What the agents of this organisation have done in a period, as the platform's records say: conversations, "
        "turns, workflow executions, swarms, tokens, cost in US dollars, response times in seconds, success rate "
        "(0 to 1) and ratings (1 to 5). `overview` is all in all, `agents` a table of agents, the most expensive "
        "first, `days` a table of days (UTC)."
    ),
    parameters={
        "type": "object",
        "properties": {
            "window": {"type": "string", "enum": list(get_args(WindowName)), "description": "Up to now."},
            "report": {"type": "string", "enum": ["overview", "agents", "days"]},
        },
        "required": ["window", "report"],
        "additionalProperties": False,
    },
)


class QueryAnalytics:
    """`domain.tools.ports.Tool` over the figures of analytics."""

    spec = _SPEC

    def __init__(self, reads: AnalyticsReads, now: Callable[[], datetime]) -> None:
        self._reads = reads
        self._now = now

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        found = await asyncio.to_thread(self._query, context.tenant_id, arguments["window"], arguments["report"])
        text = orjson.dumps(found, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS).decode()
        return ToolResult(text, SOURCES)

    def _query(self, tenant_id: str, window: WindowName, report: str) -> dict[str, Any]:
        now = self._now()
        period = resolve_window(WindowRequest(window), now, self._reads.today)
        shown = {"window": window, "from": period.since or period.first, "to": period.last, "as_of": now}
        return {**shown, **self._report(tenant_id, period, report)}

    def _report(self, tenant_id: str, period: UsagePeriod, report: str) -> dict[str, Any]:
        if report == "agents":
            found = sorted(self._reads.agents(tenant_id, period), key=_by_cost)
            return {
                "agents": [_agent(each) for each in found[:MOST_ROWS]],
                "agents_left_out": max(0, len(found) - MOST_ROWS),
            }
        days = self._reads.daily(tenant_id, period)
        if report == "days":
            return {"days": [{"day": each.day, **_usage(each.usage)} for each in days]}
        return {**_usage(sum_usage(days)), **_quality(self._reads.quality(tenant_id, period))}


def _by_cost(agent: AgentFigures) -> tuple[Decimal, int, str]:
    return -agent.cost, -agent.tokens, agent.agent_id


def _agent(figures: AgentFigures) -> dict[str, Any]:
    return {
        "agent_id": figures.agent_id,
        "conversations": figures.conversations,
        "turns": figures.turns,
        "cost_usd": _dollars(figures.cost),
        "tokens": figures.tokens,
        **_quality(figures.quality),
    }


def _usage(usage: UsageFigures) -> dict[str, Any]:
    counts = ("tokens", "requests", "conversations", "turns", "executions", "swarms")
    return {"cost_usd": _dollars(usage.cost), **{name: getattr(usage, name) for name in counts}}


def _quality(quality: TurnQuality) -> dict[str, Any]:
    return {
        "turns_completed": quality.completed,
        "turns_failed": quality.failed,
        "success_rate": _round(quality.success_rate),
        "response_time_avg_s": _round(quality.times.average),
        "response_time_p95_s": _round(quality.times.p95),
        "ratings": quality.ratings,
        "user_satisfaction": _round(quality.rating),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _dollars(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

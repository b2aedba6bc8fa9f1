"""`query_costs`: what the model calls of a tenant have cost."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import orjson

from domain.costs.ports import CostReads, GroupBy, UsageGroup
from domain.tools.ports import ToolContext, ToolResult
from domain.tools.spec import ToolSpec

MOST_ROWS = 50
_COLUMNS = ("cost_usd", "tokens", "requests", "failed", "open_cost_usd")
_SPEC = ToolSpec(
    name="query_costs",
    description=(
        "What the model calls of this platform cost and how many tokens they took, by its cost ledger: a table by "
        "agent, model, day, session, workflow or key, with totals. `open_cost_usd` is the worst case of calls "
        "whose cost is not known yet."
    ),
    parameters={
        "type": "object",
        "properties": {
            "period": {
                "type": "string",
                "enum": ["today", "7d", "30d", "month"],
                "description": "UTC days up to today; `month` is the current month.",
            },
            "group_by": {"type": "string", "enum": list(get_args(GroupBy)), "description": "The key of the rows."},
        },
        "required": ["period", "group_by"],
        "additionalProperties": False,
    },
)


class QueryCosts:
    """`domain.tools.ports.Tool` over the cost view. `standing` returns the ledger's last position and the view's."""

    spec = _SPEC

    def __init__(self, costs: CostReads, standing: Callable[[], tuple[int, int]], now: Callable[[], datetime]) -> None:
        self._costs = costs
        self._standing = standing
        self._now = now

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        text = await asyncio.to_thread(self._table, context.tenant_id, arguments["period"], arguments["group_by"])
        return ToolResult(text, ("projection:costs",))

    def _table(self, tenant_id: str, period: str, group_by: GroupBy) -> str:
        at = self._now()
        first, last = _days(period, at.date())
        head, position = self._standing()  # read the position first, so that the rows are at least as new
        groups = self._costs.usage(tenant_id, first, last, group_by)
        shown = groups[-MOST_ROWS:] if group_by == "day" else sorted(groups, key=_by_cost)[:MOST_ROWS]
        table = {
            "from": first,
            "to": last,
            "columns": [group_by, *_COLUMNS],
            "rows": [[group.name, *_figures([group])] for group in shown],
            "rows_left_out": len(groups) - len(shown),
            "totals": dict(zip(_COLUMNS, _figures(groups), strict=True)),
            "as_of": at,
            "position": position,
            "events_not_counted_yet": head - position,
        }
        return orjson.dumps(table, option=orjson.OPT_UTC_Z | orjson.OPT_OMIT_MICROSECONDS).decode()


def _days(period: str, today: date) -> tuple[date, date]:
    first = {
        "today": today,
        "7d": today - timedelta(days=6),
        "30d": today - timedelta(days=29),
        "month": today.replace(day=1),
    }
    return first[period], today


def _by_cost(group: UsageGroup) -> tuple[Decimal, int, str]:
    return -group.cost, -group.tokens, group.name


def _figures(groups: Sequence[UsageGroup]) -> list[str | int]:
    return [
        _dollars(sum((group.cost for group in groups), Decimal(0))),
        sum(group.tokens for group in groups),
        sum(group.requests for group in groups),
        sum(group.failed for group in groups),
        _dollars(sum((group.open_cost for group in groups), Decimal(0))),
    ]


def _dollars(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

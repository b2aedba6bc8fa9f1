"""The query of what calls would have cost at another price, in one statement over their view."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from adapters.postgres.figures.definitions import CALL_FIGURES
from adapters.postgres.ledger.pool import Database
from domain.costs.ports import GroupBy, UsageGroup
from domain.costs.tariff import Tariff
from domain.costs.what_if import RepricedGroup, RepricedUsage
from domain.tenant_ids import unqualified

_SETS: dict[str, str] = {"agent": "agent_id", "model": "model", "day": "day"}
"""The groups of every answer; the others are grouped only when they are asked for."""
_MORE: dict[str, str] = {"session": "session_id", "workflow": "workflow_id", "key": "key_id"}
_TOTAL, _ASKED = "total", "asked"
# A tier applies to all tokens of a call: `band` is the number of its rates. Exact: no numeric is divided.
_REPRICED = """
    CASE WHEN kind = 'chat' THEN 0.000001 * (
        (%(input)s::numeric[])[band] * (prompt_tokens - cached - written)
        + (%(cached_input)s::numeric[])[band] * cached + (%(written)s::numeric[])[band] * written
        + (%(output)s::numeric[])[band] * completion_tokens
    ) + %(per_request)s ELSE cost END
"""
_CALLS = """
    SELECT agent_id, model, kind, state, cost, worst_case, total_tokens, prompt_tokens, completion_tokens, price_known,
        (at AT TIME ZONE 'UTC')::date::text AS day, {asked} AS asked,
        cached, least(cache_write_tokens, prompt_tokens - cached) AS written,
        width_bucket(prompt_tokens, %(starts)s::bigint[]) AS band, state IN ('settled', 'cut') AS is_counted
    FROM cost_calls, LATERAL (SELECT least(cached_prompt_tokens, prompt_tokens) AS cached) AS parts
    WHERE tenant_id = %(tenant_id)s
        AND at >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
        AND at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
"""
_STATEMENT = f"""
    SELECT CASE grouping(agent_id, model, day, asked) WHEN 7 THEN 'agent' WHEN 11 THEN 'model' WHEN 13 THEN 'day'
        WHEN 14 THEN '{_ASKED}' ELSE '{_TOTAL}' END,
        coalesce(agent_id, model, day, asked, '') COLLATE "C", {CALL_FIGURES},
        coalesce(sum({_REPRICED}) FILTER (WHERE is_counted), 0),
        count(*) FILTER (WHERE is_counted AND kind <> 'chat'),
        count(*) FILTER (WHERE is_counted AND NOT price_known)
    FROM ({_CALLS}) AS calls
    GROUP BY GROUPING SETS ((), (agent_id), (model), (day), (asked))
    ORDER BY 1, 2
"""  # noqa: S608  (the constants above)
_MODELS = b"SELECT DISTINCT model FROM cost_usage WHERE tenant_id = %s"


class PostgresWhatIf:
    """`domain.costs.what_if.WhatIfReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reprice(
        self, tenant_id: str, first: date, last: date, tariff: Tariff, group_by: GroupBy | None
    ) -> RepricedUsage:
        statement = _STATEMENT.format(asked=_MORE.get(group_by or "", "NULL::text"))
        bounds = {"tenant_id": tenant_id, "first": first, "last": last, **_to_parameters(tariff)}
        with self._database.connection() as connection:
            rows = connection.execute(statement.encode(), bounds).fetchall()
        found: dict[str, list[RepricedGroup]] = {name: [] for name in (_TOTAL, *_SETS, _ASKED)}
        for kind, *row in rows:
            found[kind].append(_to_group(row))
        groups = found[group_by if group_by in _SETS else _ASKED] if group_by else None
        return RepricedUsage(found[_TOTAL][0], found["agent"], found["model"], found["day"], groups)

    def used_models(self, tenant_id: str) -> frozenset[str]:
        with self._database.connection() as connection:
            rows = connection.execute(_MODELS, (tenant_id,), prepare=True).fetchall()
        return frozenset(model for (model,) in rows)


def _to_parameters(tariff: Tariff) -> dict[str, list[int] | list[Decimal] | Decimal]:
    return {
        "starts": [max(rates.above + 1, 0) for rates in tariff.rates],
        "input": [rates.input for rates in tariff.rates],
        "cached_input": [rates.cached_input for rates in tariff.rates],
        "written": [rates.written for rates in tariff.rates],
        "output": [rates.output for rates in tariff.rates],
        "per_request": tariff.per_request,
    }


def _to_group(row: Sequence[Any]) -> RepricedGroup:
    name, *figures, repriced, kept, unpriced = row
    return RepricedGroup(UsageGroup(unqualified(name), *figures), repriced, kept, unpriced)

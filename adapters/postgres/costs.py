"""Queries of the cost ledger's views."""

from dataclasses import fields
from datetime import date, datetime
from typing import Any

from adapters.postgres.figures.definitions import CALL_FIGURES
from adapters.postgres.ledger.pool import Database
from domain.costs.ports import CallFilter, CallPage, GroupBy, RefusedPart, UsageGroup
from domain.costs.projection import CallRow
from domain.tenant_ids import unqualified

_GROUPS: dict[GroupBy, str] = {
    "agent": "agent_id",
    "model": "model",
    "day": "day::text",
    "key": "key_id",
    "session": "session_id",
    "workflow": "workflow_id",
}
_USAGE = """
    SELECT {name}, sum(cost), sum(prompt_tokens + completion_tokens)::bigint, sum(requests)::bigint,
        sum(reserved)::bigint, sum(failed)::bigint, sum(unknown)::bigint, sum(open_cost)
    FROM cost_usage WHERE tenant_id = %s AND day BETWEEN %s AND %s GROUP BY 1 ORDER BY 1
"""
_CALL_USAGE = f"""
    SELECT {{name}}, {CALL_FIGURES}
    FROM cost_calls
    WHERE tenant_id = %s
        AND at >= %s::date::timestamp AT TIME ZONE 'UTC' AND at < (%s::date + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1 ORDER BY 1
"""  # noqa: S608  (columns)
_COLUMNS = ", ".join(field.name for field in fields(CallRow))
_BOUNDS = {"since": "at >= %(since)s", "before": "at < %(before)s"}
_OVERDUE = f"""
    SELECT {_COLUMNS} FROM cost_calls WHERE state = 'reserved' AND deadline < %s ORDER BY deadline LIMIT %s
"""  # noqa: S608  (column names)

_REFUSALS = b"""
    SELECT refused, max(ended_at) FROM cost_calls
    WHERE refused IS NOT NULL AND model = %s AND ended_at > %s GROUP BY refused ORDER BY refused
"""


class PostgresCosts:
    """`domain.costs.ports.CostReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def usage(self, tenant_id: str, first: date, last: date, group_by: GroupBy) -> list[UsageGroup]:
        per_call = group_by in {"session", "workflow"}
        statement = (_CALL_USAGE if per_call else _USAGE).format(name=_GROUPS[group_by])
        with self._database.connection() as connection:
            rows = connection.execute(statement.encode(), (tenant_id, first, last), prepare=True).fetchall()
        return [UsageGroup(unqualified(name), *figures) for name, *figures in rows]

    def calls(self, wanted: CallFilter, *, skip: int, limit: int) -> CallPage:
        values = {f.name: value for f in fields(wanted) if (value := getattr(wanted, f.name)) is not None}
        passing = " AND ".join(_BOUNDS.get(name, f"{name} = %({name})s") for name in values)
        page = f"""
            SELECT {_COLUMNS} FROM cost_calls WHERE {passing}
            ORDER BY at DESC, call_id DESC, attempt DESC OFFSET %(skip)s LIMIT %(limit)s
        """  # noqa: S608  (column names and the fields of CallFilter)
        count = f"SELECT count(*) FROM cost_calls WHERE {passing}"  # noqa: S608  (the same)
        bounds: dict[str, Any] = {**values, "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            rows = connection.execute(page.encode(), bounds).fetchall()
            total = connection.execute(count.encode(), values).fetchone()
        return CallPage([CallRow(*row) for row in rows], total[0] if total else 0)

    def refusals(self, model: str, since: datetime) -> list[RefusedPart]:
        with self._database.connection() as connection:
            rows = connection.execute(_REFUSALS, (model, since), prepare=True).fetchall()
        return [RefusedPart(*row) for row in rows]

    def overdue_calls(self, before: datetime, limit: int) -> list[CallRow]:
        with self._database.connection() as connection:
            rows = connection.execute(_OVERDUE.encode(), (before, limit), prepare=True).fetchall()
        return [CallRow(*row) for row in rows]

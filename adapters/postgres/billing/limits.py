"""Limits on cost, with what counts against them in their current windows."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.costs.limits.events import Window
from domain.costs.limits.ports import LimitPage, LimitView
from domain.costs.limits.projection import Charge

_LIMITS = """
    SELECT l.scope, l.period, l.tenant_id, l.limit_usd, l.on_breach, l.version, l.set_by, l.set_at, w.starts,
        c.spent, c.reserved, c.unknown, a.granted, a.used
    FROM cost_limits AS l
    CROSS JOIN LATERAL (SELECT cost_window_start(l.period, %(day)s::date) AS starts) AS w
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(spent), 0) AS spent, coalesce(sum(reserved), 0) AS reserved,
            coalesce(sum(unknown), 0) AS unknown
        FROM cost_counters WHERE scope = l.scope AND day >= w.starts AND day < cost_window_end(l.period, w.starts)
    ) AS c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(granted), 0) AS granted, coalesce(sum(spent + reserved + unknown), 0) AS used
        FROM cost_allowances WHERE scope = l.scope AND period = l.period AND starts = w.starts
    ) AS a
"""
_SHOWN = "(l.tenant_id = %(tenant)s OR (%(operator)s AND (l.scope = 'global' OR l.scope LIKE 'tenant:%%')))"
_PAGE = f"{_LIMITS} WHERE {_SHOWN} ORDER BY l.scope, l.period OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = f"SELECT count(*) FROM cost_limits AS l WHERE {_SHOWN}"  # noqa: S608  (conditions of this module)
_NAMED = f"""{_LIMITS}
    WHERE (l.scope, l.period) IN (SELECT * FROM unnest(%(scopes)s::text[], %(windows)s::text[]))
    ORDER BY l.scope, l.period
"""  # noqa: S608  (conditions of this module)


class PostgresLimits:
    """`domain.costs.limits.ports.LimitReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, tenant_id: str, day: date, *, is_operator: bool, skip: int, limit: int) -> LimitPage:
        values = {"tenant": tenant_id, "operator": is_operator, "day": day, "skip": skip, "limit": limit}
        with self._database.connection() as connection:
            rows = connection.execute(_PAGE.encode(), values).fetchall()
            total = connection.execute(_COUNT.encode(), values).fetchone()
        return LimitPage([_to_view(row) for row in rows], total[0] if total else 0)

    def by_name(self, limits: Sequence[tuple[str, Window]], day: date) -> list[LimitView]:
        values = {"scopes": [scope for scope, _ in limits], "windows": [window for _, window in limits], "day": day}
        with self._database.connection() as connection:
            return [_to_view(row) for row in connection.execute(_NAMED.encode(), values)]


def _to_view(row: tuple[Any, ...]) -> LimitView:
    scope, period, tenant_id, limit_usd, on_breach, version, set_by, set_at, starts, *amounts = row
    spent, reserved, unknown, granted, allowed = amounts
    return LimitView(
        scope=scope,
        window=period,
        tenant_id=tenant_id,
        limit_usd=limit_usd,
        on_breach=on_breach,
        version=version,
        set_by=set_by,
        set_at=set_at,
        starts=starts,
        charge=Charge(spent, reserved, unknown),
        granted=granted,
        allowed=allowed,
    )

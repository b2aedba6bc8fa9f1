"""Alerts on cost, with the daily costs of their scopes."""

from collections.abc import Iterable
from dataclasses import fields
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from adapters.postgres.ledger.pool import Connection, Database
from domain.costs.alerts.forecast import DAYS
from domain.costs.alerts.ports import AlertStanding, CostAlertPage
from domain.costs.alerts.projection import CostAlertRow
from domain.costs.limits.projection import ZERO

_COLUMNS = ", ".join(f"a.{field.name}" for field in fields(CostAlertRow))
_FIGURES = """l.limit_usd, (
        SELECT coalesce(sum(c.spent), 0) FROM cost_counters AS c
        WHERE c.scope = a.scope AND c.day >= cost_window_start(a.period, %(today)s::date)
            AND c.day < cost_window_end(a.period, cost_window_start(a.period, %(today)s::date))
    )"""
_LIMIT = "LEFT JOIN cost_limits AS l ON l.scope = a.scope AND l.period = a.period"
_ALERTS = f"SELECT {_COLUMNS}, {_FIGURES} FROM cost_alerts AS a {_LIMIT}"  # noqa: S608  (parts of this module)
_STANDING = f"SELECT {_FIGURES} FROM (SELECT %(scope)s::text AS scope, %(window)s::text AS period) AS a {_LIMIT}"  # noqa: S608  (the same)
_PAGE = f"{_ALERTS} WHERE a.tenant_id = %(tenant)s ORDER BY a.created_at, a.alert_id OFFSET %(skip)s LIMIT %(limit)s"
_COUNT = b"SELECT count(*) FROM cost_alerts WHERE tenant_id = %s"
_ONE = f"{_ALERTS} WHERE a.tenant_id = %(tenant)s AND a.alert_id = %(alert_id)s"
_ALL = f"""{_ALERTS}
    WHERE a.fired_starts IS DISTINCT FROM cost_window_start(a.period, %(today)s::date) ORDER BY a.alert_id
"""
_DAILY = b"SELECT scope, day, spent FROM cost_counters WHERE scope = ANY(%s) AND day >= %s"


class PostgresCostAlerts:
    """`domain.costs.alerts.ports.CostAlertReads` on PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, tenant_id: str, today: date, *, skip: int, limit: int) -> CostAlertPage:
        found = self._read(_PAGE, today, tenant=tenant_id, skip=skip, limit=limit)
        with self._database.connection() as connection:
            total = connection.execute(_COUNT, (tenant_id,)).fetchone()
        return CostAlertPage(found, total[0] if total else 0)

    def find(self, tenant_id: str, alert_id: str, today: date) -> AlertStanding | None:
        return next(iter(self._read(_ONE, today, tenant=tenant_id, alert_id=alert_id)), None)

    def read_standing(self, alert: CostAlertRow, today: date) -> AlertStanding:
        values = {"today": today, "scope": alert.scope, "window": alert.period}
        with self._database.connection() as connection:
            limit_usd, spent = connection.execute(_STANDING.encode(), values).fetchone() or (None, ZERO)
            return AlertStanding(alert, today, limit_usd, self.daily(alert.scope, today), spent)

    def all(self, today: date) -> list[AlertStanding]:
        return self._read(_ALL, today)

    def daily(self, scope: str, today: date) -> dict[date, Decimal]:
        with self._database.connection() as connection:
            return _daily(connection, [scope], today).get(scope, {})

    def _read(self, statement: str, today: date, **values: Any) -> list[AlertStanding]:
        with self._database.connection() as connection:
            rows = connection.execute(statement.encode(), {"today": today, **values}).fetchall()
            alerts = [CostAlertRow(*row[:-2]) for row in rows]
            daily = _daily(connection, [alert.scope for alert in alerts], today)
        return [
            AlertStanding(alert, today, limit_usd, daily.get(alert.scope, {}), spent)
            for alert, (*_, limit_usd, spent) in zip(alerts, rows, strict=True)
        ]


def _daily(connection: Connection, scopes: Iterable[str], today: date) -> dict[str, dict[date, Decimal]]:
    """Return the costs of the days that a forecast needs: those of this month, and the last ones before today."""
    found: dict[str, dict[date, Decimal]] = {}
    since = min(today.replace(day=1), today - timedelta(days=DAYS))
    for scope, day, spent in connection.execute(_DAILY, (sorted(set(scopes)), since)):
        found.setdefault(scope, {})[day] = spent
    return found

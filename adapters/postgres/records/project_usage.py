"""Queries of what is linked to projects, on the views of calls, chats, executions and swarms."""

from datetime import date, datetime
from typing import Any

from adapters.postgres.figures.periods import TimeZones
from adapters.postgres.figures.usage import daily_statement, total_statement
from adapters.postgres.ledger.pool import Database
from domain.usage import DayOfUsage, UsageFigures, UsagePeriod

_TOTAL = total_statement(of_project=True).encode()
_DAILY = daily_statement(of_project=True).encode()


class PostgresProjectUsage:
    """`domain.projects.ports.ProjectUsageReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._zones = TimeZones(database)

    def total(self, tenant_id: str, project_id: str) -> UsageFigures:
        [row] = self._rows(_TOTAL, {"tenant_id": tenant_id, "project_id": project_id})
        return UsageFigures(*row)

    def daily(self, tenant_id: str, project_id: str, period: UsagePeriod) -> list[DayOfUsage]:
        rows = self._rows(_DAILY, {**self._zones.parameters(tenant_id, period), "project_id": project_id})
        return [DayOfUsage(day, UsageFigures(*figures)) for day, *figures in rows]

    def today(self, moment: datetime, time_zone: str) -> date:
        return self._zones.today(moment, time_zone)

    def _rows(self, statement: bytes, values: Any) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement, values, prepare=True).fetchall()

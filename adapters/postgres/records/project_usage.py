"""Queries of what is linked to projects, on the views of calls, chats, executions and swarms."""

from datetime import date, datetime
from typing import Any

from adapters.postgres.costs import CALL_FIGURES
from adapters.postgres.ledger.pool import Database
from domain.errors import Invalid
from domain.projects.ports import DailyProjectUsage, ProjectUsage, UsagePeriod

_LINKED = "{name}.tenant_id = %(tenant_id)s AND {name}.project_id = %(project_id)s"
_CALLS = f"cost_calls WHERE {_LINKED.format(name='cost_calls')}"
_CHATS = f"chat_sessions WHERE {_LINKED.format(name='chat_sessions')} AND strpos(session_id, '/') = 0"
_TURNS = f"""
    chat_turns JOIN chat_sessions USING (session_id)
    WHERE {_LINKED.format(name="chat_sessions")} AND strpos(session_id, '/') = 0
        AND chat_turns.origin_session_id IS NULL
"""
"""Turns that a fork has copied count where they happened."""
_EXECUTIONS = f"executions WHERE {_LINKED.format(name='executions')} AND parent_id IS NULL"
_SWARMS = f"swarms WHERE {_LINKED.format(name='swarms')}"
_TOTAL = f"""
    SELECT calls.*, (SELECT count(*) FROM {_CHATS}), (SELECT count(*) FROM {_TURNS}),
        (SELECT count(*) FROM {_EXECUTIONS}), (SELECT count(*) FROM {_SWARMS})
    FROM (SELECT {CALL_FIGURES} FROM {_CALLS}) AS calls
"""  # noqa: S608  (the constants above)


def _daily(figures: str, source: str, at: str) -> str:
    """Return a query of figures by local day; the bounds are moments, so that an index serves them."""
    return f"""
        SELECT ({at} AT TIME ZONE %(time_zone)s)::date AS day, {figures} FROM {source}
        AND {at} >= %(first)s::date::timestamp AT TIME ZONE %(time_zone)s
        AND {at} < (%(last)s::date + 1)::timestamp AT TIME ZONE %(time_zone)s GROUP BY 1
    """  # noqa: S608  (the constants above)


_DAILY = f"""
    WITH calls AS ({_daily(CALL_FIGURES, _CALLS, "cost_calls.at")}),
        chats AS ({_daily("count(*) AS chats", _CHATS, "chat_sessions.opened_at")}),
        turns AS ({_daily("count(*) AS turns", _TURNS, "chat_turns.at")}),
        runs AS ({_daily("count(*) AS runs", _EXECUTIONS, "executions.started_at")}),
        tasks AS ({_daily("count(*) AS tasks", _SWARMS, "swarms.requested_at")})
    SELECT each::date, coalesce(cost, 0), coalesce(tokens, 0), coalesce(requests, 0), coalesce(reserved, 0),
        coalesce(failed, 0), coalesce(unknown, 0), coalesce(open_cost, 0),
        coalesce(chats, 0), coalesce(turns, 0), coalesce(runs, 0), coalesce(tasks, 0)
    FROM generate_series(%(first)s::date::timestamp, %(last)s::date::timestamp, interval '1 day') AS each
        LEFT JOIN calls ON calls.day = each::date LEFT JOIN chats ON chats.day = each::date
        LEFT JOIN turns ON turns.day = each::date LEFT JOIN runs ON runs.day = each::date
        LEFT JOIN tasks ON tasks.day = each::date
    ORDER BY 1
"""  # noqa: S608  (the constants above)
_TODAY = b"SELECT (%s::timestamptz AT TIME ZONE %s)::date"
_ZONES = b"SELECT name FROM pg_timezone_names"
_UTC = "UTC"


class PostgresProjectUsage:
    """`domain.projects.ports.ProjectUsageReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._zones = frozenset({_UTC})

    def total(self, tenant_id: str, project_id: str) -> ProjectUsage:
        [row] = self._rows(_TOTAL.encode(), {"tenant_id": tenant_id, "project_id": project_id})
        return ProjectUsage(*row)

    def daily(self, tenant_id: str, project_id: str, period: UsagePeriod) -> list[DailyProjectUsage]:
        values = {"tenant_id": tenant_id, "project_id": project_id, "first": period.first, "last": period.last}
        rows = self._rows(_DAILY.encode(), {**values, "time_zone": self._check_time_zone(period.time_zone)})
        return [DailyProjectUsage(day, ProjectUsage(*figures)) for day, *figures in rows]

    def today(self, moment: datetime, time_zone: str) -> date:
        [[day]] = self._rows(_TODAY, (moment, self._check_time_zone(time_zone)))
        return date.fromisoformat(str(day))

    def _check_time_zone(self, time_zone: str) -> str:
        """Return the name if the database has the time zone. It would take other names for offsets."""
        if time_zone not in self._zones:
            self._zones = frozenset({_UTC, *(name for (name,) in self._rows(_ZONES, ()))})
        if time_zone not in self._zones:
            raise Invalid("tz: unknown time zone", field="tz", reason="unknown: use a name such as Europe/Berlin")
        return time_zone

    def _rows(self, statement: bytes, values: Any) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement, values, prepare=True).fetchall()

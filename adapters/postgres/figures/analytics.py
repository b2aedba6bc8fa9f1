"""Queries of analytics, on the views of calls, chats, executions, swarms and ratings."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from adapters.postgres.figures.definitions import (
    CALL_FIGURES,
    IS_TIMED,
    OF_CONVERSATION,
    OWN_TURN,
    SECONDS,
    TURN_OUTCOMES,
    within,
)
from adapters.postgres.figures.periods import TimeZones
from adapters.postgres.figures.usage import daily_statement
from adapters.postgres.ledger.pool import Database
from domain.analytics.ports import AgentFigures, ResponseTimes, TurnQuality
from domain.usage import DayOfUsage, UsageFigures, UsagePeriod

_DAILY = daily_statement(of_project=False).encode()
_TIMES = f"""
    avg({SECONDS}) FILTER (WHERE {IS_TIMED}) AS average,
    percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY {SECONDS}) FILTER (WHERE {IS_TIMED}) AS percentiles
"""
_CHATS = f"chat_sessions WHERE tenant_id = %(tenant_id)s AND {OF_CONVERSATION} AND {within('opened_at')}"
_CALLS = f"cost_calls WHERE tenant_id = %(tenant_id)s AND {within('at')}"
_TURNS = f"chat_turns WHERE tenant_id = %(tenant_id)s AND {OWN_TURN} AND {within('at')}"
_RATINGS = f"turn_ratings WHERE tenant_id = %(tenant_id)s AND {within('at')}"
_QUALITY = f"""
    SELECT turns.*, ratings.* FROM (SELECT {TURN_OUTCOMES}, {_TIMES} FROM {_TURNS}) AS turns,
        (SELECT count(*), avg(rating)::double precision FROM {_RATINGS}) AS ratings
"""  # noqa: S608  (the definitions of figures)
_AGENTS = f"""
    WITH calls AS (
        SELECT agent_id, {CALL_FIGURES} FROM {_CALLS} GROUP BY 1
    ), chats AS (
        SELECT agent_id, count(*) AS chats FROM {_CHATS} GROUP BY 1
    ), turns AS (
        SELECT agent_id, count(*) FILTER (WHERE {OF_CONVERSATION}) AS turns, {TURN_OUTCOMES}, {_TIMES}
        FROM {_TURNS} GROUP BY 1
    ), ratings AS (
        SELECT agent_id, count(*) AS ratings, avg(rating)::double precision AS rating FROM {_RATINGS} GROUP BY 1
    )
    SELECT agent_id, coalesce(chats, 0), coalesce(turns, 0), coalesce(cost, 0), coalesce(tokens, 0),
        coalesce(requests, 0), coalesce(turns.completed, 0), coalesce(turns.failed, 0), average, percentiles,
        coalesce(ratings, 0), rating
    FROM calls FULL JOIN chats USING (agent_id) FULL JOIN turns USING (agent_id) FULL JOIN ratings USING (agent_id)
    ORDER BY agent_id COLLATE "C"
"""  # noqa: S608  (the same)
_COUNT = f"""
    SELECT count(*) FROM (
        {" UNION ".join(f"SELECT DISTINCT agent_id FROM {rows}" for rows in (_CALLS, _CHATS, _TURNS, _RATINGS))}
    ) AS agents
"""  # noqa: S608  (the same)


class PostgresAnalytics:
    """`domain.analytics.ports.AnalyticsReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._zones = TimeZones(database)

    def today(self, moment: datetime, time_zone: str) -> date:
        return self._zones.today(moment, time_zone)

    def daily(self, tenant_id: str, period: UsagePeriod) -> list[DayOfUsage]:
        rows = self._rows(_DAILY, tenant_id, period)
        return [DayOfUsage(day, UsageFigures(*figures)) for day, *figures in rows]

    def quality(self, tenant_id: str, period: UsagePeriod) -> TurnQuality:
        [row] = self._rows(_QUALITY.encode(), tenant_id, period)
        return _to_quality(row)

    def count_agents(self, tenant_id: str, period: UsagePeriod) -> int:
        [[count]] = self._rows(_COUNT.encode(), tenant_id, period)
        return int(count)

    def agents(self, tenant_id: str, period: UsagePeriod) -> list[AgentFigures]:
        rows = self._rows(_AGENTS.encode(), tenant_id, period)
        return [
            AgentFigures(agent_id, chats, turns, cost, tokens, requests, _to_quality(quality))
            for agent_id, chats, turns, cost, tokens, requests, *quality in rows
        ]

    def _rows(self, statement: bytes, tenant_id: str, period: UsagePeriod) -> list[tuple[Any, ...]]:
        values = self._zones.parameters(tenant_id, period)
        with self._database.connection() as connection:
            return connection.execute(statement, values, prepare=True).fetchall()


def _to_quality(row: Sequence[Any]) -> TurnQuality:
    completed, failed, average, percentiles, ratings, rating = row
    times = ResponseTimes(average, *(percentiles or (None, None, None)))
    return TurnQuality(completed, failed, times, ratings, rating)

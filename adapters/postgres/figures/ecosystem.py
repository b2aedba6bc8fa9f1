"""Queries of agents' health, on the views of turns and calls."""

from collections.abc import Collection
from datetime import datetime

from adapters.postgres.figures.definitions import IS_TIMED, OWN_TURN, SECONDS, TURN_OUTCOMES
from adapters.postgres.ledger.pool import Database
from domain.ecosystem.ports import AgentActivity

_NEWEST = f"(array_agg({SECONDS} ORDER BY ended_at DESC, session_id, turn) FILTER (WHERE {IS_TIMED}))[1]"
_ACTIVITIES = f"""
    SELECT agent_id, {TURN_OUTCOMES},
        percentile_cont(0.95) WITHIN GROUP (ORDER BY {SECONDS}) FILTER (WHERE {IS_TIMED}), {_NEWEST}, max(ended_at)
    FROM chat_turns WHERE tenant_id = %s AND at >= %s AND {OWN_TURN} GROUP BY 1
"""  # noqa: S608  (the definitions of figures)
_FAILING_MODELS = """
    SELECT model FROM (
        SELECT model, state, row_number() OVER (PARTITION BY model ORDER BY ended_at DESC, call_id, attempt) AS place
        FROM cost_calls WHERE tenant_id = %(tenant_id)s AND at >= %(since)s AND ended_at IS NOT NULL AND refused IS NULL
    ) AS attempts
    WHERE place <= %(streak)s
    GROUP BY 1 HAVING count(*) FILTER (WHERE state IN ('failed', 'unknown')) = %(streak)s
"""
"""Attempts that failed because the model refused a part of the request are repeated without it: they do not count."""


_OPEN_CIRCUITS = "SELECT provider, model FROM provider_circuits WHERE retry_at > %s"


class PostgresEcosystem:
    """`domain.ecosystem.ports.EcosystemReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def activities(self, tenant_id: str, since: datetime) -> dict[str, AgentActivity]:
        with self._database.connection() as connection:
            rows = connection.execute(_ACTIVITIES.encode(), (tenant_id, since), prepare=True).fetchall()
        return {agent_id: AgentActivity(*figures) for agent_id, *figures in rows}

    def failing_models(self, tenant_id: str, since: datetime, streak: int) -> Collection[str]:
        values = {"tenant_id": tenant_id, "since": since, "streak": streak}
        with self._database.connection() as connection:
            return {model for (model,) in connection.execute(_FAILING_MODELS.encode(), values, prepare=True)}

    def open_circuits(self, at: datetime) -> Collection[tuple[str, str]]:
        with self._database.connection() as connection:
            return {(provider, model) for provider, model in connection.execute(_OPEN_CIRCUITS, (at,), prepare=True)}

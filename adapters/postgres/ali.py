"""Queries of the facts for Ali's insights, on the views of other concepts."""

from datetime import UTC, date, datetime, time
from typing import Any

from adapters.postgres.figures.definitions import COMPLETED, FAILED, IS_TIMED, OWN_TURN, SECONDS, TURN_OUTCOMES
from adapters.postgres.ledger.log import Connection
from adapters.postgres.ledger.pool import Database
from domain.ali.ports import DayCost, DayTurns, Facts, RunningRun, UsualDuration, WaitingApproval
from domain.tenant_ids import unqualified

_COSTS = """
    SELECT day, agent_id, sum(cost) FROM cost_usage
    WHERE tenant_id = %s AND day >= %s GROUP BY 1, 2 HAVING sum(cost) > 0
"""
_TURNS = f"""
    SELECT (at AT TIME ZONE 'UTC')::date, agent_id, {TURN_OUTCOMES}
    FROM chat_turns
    WHERE tenant_id = %s AND at >= %s AND {OWN_TURN} AND ({COMPLETED} OR {FAILED})
    GROUP BY 1, 2
"""  # noqa: S608  (the definitions of figures)
_APPROVALS = """
    SELECT id, risk, created_at, expires_at FROM approvals
    WHERE tenant_id = %s AND status IN ('pending', 'escalated') ORDER BY created_at, id LIMIT %s
"""
_RUNNING_TURNS = """
    SELECT 'turn', session_id || '#' || turn, at FROM chat_turns
    WHERE tenant_id = %s AND status = 'running' AND approval_id IS NULL ORDER BY at, session_id, turn LIMIT %s
"""
_RUNNING_SWARMS = """
    SELECT 'swarm', task_id, coalesce(started_at, requested_at) FROM swarms
    WHERE tenant_id = %s AND status IN ('pending', 'running') AND approval_id IS NULL
    ORDER BY requested_at, task_id LIMIT %s
"""
_USUAL_TURNS = f"""
    SELECT 'turn', count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY {SECONDS})
    FROM chat_turns WHERE tenant_id = %s AND at >= %s AND {OWN_TURN} AND {IS_TIMED}
"""  # noqa: S608  (the same)
_USUAL_SWARMS = """
    SELECT 'swarm', count(*), percentile_cont(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - started_at))
    FROM swarms WHERE tenant_id = %s AND started_at >= %s AND status = 'completed' AND approval_id IS NULL
"""


class PostgresAli:
    """`domain.ali.ports.AliReads` on the views.

    Turns and swarms that waited for a person are not timed, as their time of work is not known.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, tenant_id: str, now: datetime, *, first: date, most: int) -> Facts:
        since = datetime.combine(first, time.min, UTC)
        with self._database.connection() as connection:
            return Facts(
                now=now,
                costs=tuple(DayCost(*row) for row in _rows(connection, _COSTS, tenant_id, first)),
                turns=tuple(DayTurns(*row) for row in _rows(connection, _TURNS, tenant_id, since)),
                approvals=tuple(WaitingApproval(*row) for row in _rows(connection, _APPROVALS, tenant_id, most)),
                running=tuple(
                    RunningRun(kind, unqualified(run), began)
                    for statement in (_RUNNING_TURNS, _RUNNING_SWARMS)
                    for kind, run, began in _rows(connection, statement, tenant_id, most)
                ),
                usual=tuple(
                    UsualDuration(kind, finished, p95_s)
                    for statement in (_USUAL_TURNS, _USUAL_SWARMS)
                    for kind, finished, p95_s in _rows(connection, statement, tenant_id, since)
                    if finished
                ),
            )


def _rows(connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), values, prepare=True).fetchall()

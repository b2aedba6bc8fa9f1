"""Everything that is open by the views: turns, swarms, executions, approvals, firings and model calls."""

from collections.abc import Iterable
from typing import Any

from adapters.postgres.ledger.pool import Database
from domain.ids import root_of
from domain.recovery.policy import OpenApproval, OpenWork
from domain.recovery.ports import OpenCall, OpenFiring

_RUN_PREFIXES = ("task_", "exec_")
_TURNS = """
    SELECT session_id, turn, status = 'awaiting_approval' FROM chat_turns
    WHERE status IN ('running', 'awaiting_approval') AND origin_session_id IS NULL ORDER BY session_id, turn
"""
_SWARMS = """
    SELECT s.task_id, s.status = 'awaiting_approval' AND NOT EXISTS (
        SELECT FROM swarm_members AS m WHERE m.task_id = s.task_id AND m.status = 'running'
    ) FROM swarms AS s WHERE s.ended_at IS NULL ORDER BY s.task_id
"""
# A node that has a child, or items, waits if these do: they are looked at by themselves.
_EXECUTIONS = """
    SELECT e.execution_id,
           (e.paused OR e.held > 0 OR bool_or(n.status = 'running')) AND NOT coalesce(
               bool_or(n.status = 'running' AND n.child_id IS NULL AND n.type <> 'map'), false
           )
    FROM executions AS e LEFT JOIN execution_nodes AS n ON n.execution_id = e.execution_id
    WHERE e.ended_at IS NULL GROUP BY e.execution_id ORDER BY e.execution_id
"""
_APPROVALS = """
    SELECT id, waiter_id, status NOT IN ('pending', 'escalated') FROM approvals
    WHERE status IN ('pending', 'escalated') OR id = ANY(%(ids)s) ORDER BY id
"""
_STARTING_FIRINGS = """
    SELECT schedule_id, firing_id, scheduled_at, trigger FROM schedule_firings
    WHERE status = 'starting' ORDER BY firing_id
"""
_RESERVED = "SELECT call_id, attempt FROM cost_calls WHERE state = 'reserved' ORDER BY call_id, attempt"
_RECORDED = """
    SELECT 'chat-' || session_id FROM chat_sessions WHERE 'chat-' || session_id = ANY(%(ids)s)
    UNION ALL SELECT task_id FROM swarms WHERE task_id = ANY(%(ids)s)
    UNION ALL SELECT execution_id FROM executions WHERE execution_id = ANY(%(ids)s)
"""


class PostgresOpenWork:
    """`domain.recovery.ports.OpenWorkReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def work(self) -> list[OpenWork]:
        return [*self._turns(), *self._swarms(), *self._executions()]

    def approvals(self, workflow_ids: Iterable[str]) -> list[OpenApproval]:
        return [OpenApproval(*row) for row in self._rows(_APPROVALS, {"ids": list(workflow_ids)})]

    def firings(self) -> list[OpenFiring]:
        return [OpenFiring(*row) for row in self._rows(_STARTING_FIRINGS)]

    def calls(self) -> list[OpenCall]:
        return [OpenCall(*row) for row in self._rows(_RESERVED)]

    def recorded_ids(self, workflow_ids: Iterable[str]) -> set[str]:
        return {name for (name,) in self._rows(_RECORDED, {"ids": list(workflow_ids)})}

    def _turns(self) -> list[OpenWork]:
        return [
            OpenWork("turn", f"{session_id}#{turn}", _home_of(session_id), waits)
            for session_id, turn, waits in self._rows(_TURNS)
        ]

    def _swarms(self) -> list[OpenWork]:
        return [OpenWork("swarm", task_id, task_id, waits) for task_id, waits in self._rows(_SWARMS)]

    def _executions(self) -> list[OpenWork]:
        return [
            OpenWork("execution", execution_id, execution_id, waits) for execution_id, waits in self._rows(_EXECUTIONS)
        ]

    def _rows(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values).fetchall()


def _home_of(session_id: str) -> str:
    """Return the workflow that works on a session: the run that it is nested in, or its own chat."""
    root = root_of(session_id)
    is_run = root != session_id and root.startswith(_RUN_PREFIXES)
    return root if is_run else f"chat-{root}"

"""Figures of the whole platform, of all tenants: from the ledger what is new, from the views what stands."""

from collections import Counter
from threading import Lock
from typing import Any

from adapters.postgres.ledger.pool import Connection, Database
from domain.health.figures import ModelTotals, PlatformFigures, WaitingWork

_HEAD = "SELECT coalesce(max(notification_id), 0) FROM ledger_events"
# The code tells a turn that a person rejected or stopped from one that failed (`figures/definitions.py`: `FAILED`).
_NEW = """
    SELECT split_part(topic, '/', 1) AS name,
           CASE WHEN topic LIKE 'chat.turn_failed/%%' THEN convert_from(state, 'UTF8')::jsonb ->> 'code' END AS code,
           count(*), max(notification_id)
    FROM ledger_events WHERE notification_id > %s GROUP BY name, code
"""
_USAGE = """
    SELECT model, sum(requests)::bigint, sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cost),
           sum(failed)::bigint, sum(open_cost)
    FROM cost_usage GROUP BY model ORDER BY model
"""
_TURNS = """
    SELECT status, count(*), extract(epoch FROM now() - min(at))::float8
    FROM chat_turns WHERE status IN ('running', 'awaiting_approval') GROUP BY status ORDER BY status
"""
_APPROVALS = """
    SELECT risk, count(*), extract(epoch FROM now() - min(created_at))::float8
    FROM approvals WHERE status IN ('pending', 'escalated') GROUP BY risk ORDER BY risk
"""
_OUTCOMES = {"chat.turn_answered": "answered", "chat.turn_failed": "failed"}
_BY_PEOPLE = {"REJECTED": "rejected", "CANCELLED": "cancelled"}


class PostgresPlatformFigures:
    """`domain.health.figures.FiguresReads` on PostgreSQL. What it counts begins with the first reading."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._position: int | None = None
        self._events: Counter[str] = Counter()
        self._turns = Counter[str](dict.fromkeys((*_OUTCOMES.values(), *_BY_PEOPLE.values()), 0))

    def read(self) -> PlatformFigures:
        with self._lock, self._database.connection() as connection:
            self._count_new(connection)
            return PlatformFigures(
                dict(self._events),
                dict(self._turns),
                [ModelTotals(*row) for row in _rows(connection, _USAGE)],
                [WaitingWork(*row) for row in _rows(connection, _TURNS)],
                [WaitingWork(*row) for row in _rows(connection, _APPROVALS)],
            )

    def _count_new(self, connection: Connection) -> None:
        if self._position is None:
            self._position = _rows(connection, _HEAD)[0][0]
        for name, code, number, position in _rows(connection, _NEW, self._position):
            self._events[name] += number
            if name in _OUTCOMES:
                self._turns[_BY_PEOPLE.get(code, _OUTCOMES[name])] += number
            self._position = max(self._position or 0, position)


def _rows(connection: Connection, statement: str, *values: object) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), values or None, prepare=True).fetchall()

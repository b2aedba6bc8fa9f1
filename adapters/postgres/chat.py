"""Admission of chat messages, and queries of the chat views."""

from dataclasses import fields
from datetime import datetime
from typing import Any

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.prepared import Statement, integer, text
from domain.chat import sessions
from domain.chat.ports import AdmittedSession, TurnWithTexts
from domain.chat.views import SessionRow, TurnRow
from domain.content import Content
from domain.errors import NotFound
from domain.events import EventRegistry

_OPEN = Statement(
    b"chat_open",
    b"""
    WITH agent AS (
        SELECT id, deployed_version, approval FROM agents
        WHERE (id = $1 OR aliases @> ARRAY[$1]) AND tenant_id IN ($6, '*')
          AND status = 'active' AND deployed_version IS NOT NULL
        ORDER BY id <> $1, tenant_id = '*' LIMIT 1
    ), past AS (
        SELECT originator_version, topic, state FROM ledger_events WHERE originator_id = $2
    ), stored AS (
        INSERT INTO content (owner, hash, body) SELECT $3, $4, $5
        WHERE EXISTS (SELECT FROM agent) AND NOT EXISTS (
            SELECT FROM past WHERE topic LIKE 'chat.session_ended/%'
            OR topic LIKE 'chat.session_opened/%'
                AND coalesce(convert_from(state, 'UTF8')::jsonb ->> 'tenant_id', 'default') <> $6
        ) ON CONFLICT DO NOTHING
    )
    SELECT NULL AS version, id, deployed_version, NULL AS state, approval FROM agent
    UNION ALL (SELECT originator_version, topic, NULL, state, NULL FROM past ORDER BY originator_version)
    """,
)
_SESSION_COLUMNS = ", ".join(field.name for field in fields(SessionRow))
_TURN_COLUMNS = ", ".join(f"t.{field.name}" for field in fields(TurnRow))
_OWNER = "split_part(coalesce(t.origin_session_id, t.session_id), '/', 1)"
_SESSION = f"SELECT {_SESSION_COLUMNS} FROM chat_sessions WHERE session_id = %s"  # noqa: S608  (column names)
_TURNS = f"""
    SELECT {_TURN_COLUMNS}, m.body, r.body FROM chat_turns AS t
    LEFT JOIN content AS m ON m.owner = {_OWNER} AND m.hash = t.message_hash
    LEFT JOIN content AS r ON r.owner = {_OWNER} AND r.hash = t.reply_hash
    WHERE t.session_id = %s ORDER BY t.turn OFFSET %s LIMIT %s
"""  # noqa: S608  (column names)
_TURN_OF = f"SELECT {_TURN_COLUMNS} FROM chat_turns AS t WHERE message_id = %s AND session_id = %s"  # noqa: S608  (the same)
_OVERDUE = f"""
    (SELECT {_TURN_COLUMNS} FROM chat_turns AS t
     WHERE status = 'running' AND at < %s ORDER BY at LIMIT %s)
    UNION ALL
    (SELECT {_TURN_COLUMNS} FROM chat_turns AS t
     WHERE status = 'awaiting_approval' AND at < %s ORDER BY random() LIMIT %s)
"""  # noqa: S608  (the same)


class PostgresAdmission:
    """`domain.chat.ports.Admission` in one round trip."""

    def __init__(self, database: Database, registry: EventRegistry) -> None:
        self._database = database
        self._registry = registry

    def open(self, *, session_id: str, agent_id: str, tenant_id: str, message: Content) -> AdmittedSession:
        values = (
            agent_id,
            sessions.session_stream(session_id),
            message.owner,
            message.hash,
            message.text,
            tenant_id,
        )
        found = self._database.execute(_OPEN, [value.encode() for value in values])
        agent, past = None, []
        for row in range(found.ntuples):
            version, name, deployed, state, approval = (found.get_value(row, column) for column in range(5))
            if version is None:
                agent = (text(name), integer(deployed), text(approval))
            else:
                past.append(self._registry.decode(text(name), state or b""))
        session = sessions.load_session(past)
        sessions.admit(session, tenant_id=tenant_id, agent_id=agent[0] if agent else None)
        if agent is None:
            raise NotFound(f"there is no agent {agent_id}, or it is not deployed", field="agent_id")
        hold = agent[2] if agent[2] != "none" else None
        return AdmittedSession(session, agent_id=agent[0], agent_version=agent[1], hold=hold)


class PostgresChats:
    """`domain.chat.ports.ChatReads` on the views."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def session(self, session_id: str) -> SessionRow | None:
        row = self._rows(_SESSION, session_id)
        return SessionRow(*row[0]) if row else None

    def turns(self, session_id: str, *, skip: int, limit: int) -> list[TurnWithTexts]:
        return [
            TurnWithTexts(TurnRow(*row[:-2]), row[-2], row[-1]) for row in self._rows(_TURNS, session_id, skip, limit)
        ]

    def turn_of(self, session_id: str, message_id: str) -> TurnRow | None:
        rows = self._rows(_TURN_OF, message_id, session_id)
        return TurnRow(*rows[0]) if rows else None

    def overdue_turns(self, before: datetime, limit: int) -> list[TurnRow]:
        # Turns can await approval for weeks: in order, the first ones would hide all others, so these are sampled.
        return [TurnRow(*row) for row in self._rows(_OVERDUE, before, limit, before, limit)]

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._database.connection() as connection:
            return connection.execute(statement.encode(), values, prepare=True, binary=True).fetchall()

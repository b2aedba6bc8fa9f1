"""The events that streams are made from, read from the ledger itself: a view would be late."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from adapters.postgres.ledger.log import StoredRow, decode
from adapters.postgres.ledger.pool import Connection, Database
from domain.chat.events import TurnStepped
from domain.chat.sessions import session_stream
from domain.chat.turns import turn_stream_prefix
from domain.events import EventRegistry, RecordedEvent
from domain.graphflow.execution import aggregate as runs
from domain.ids import root_of
from domain.live.ports import EventBatch
from domain.swarm import aggregate as swarms
from domain.tools import aggregate as tools

_HEAD = "SELECT coalesce(max(notification_id), 0) FROM ledger_events"
_COLUMNS = "notification_id, originator_id, originator_version, topic, state"
_STREAM_AND_PREFIX = f"""
    SELECT {_COLUMNS} FROM ledger_events
    WHERE originator_id = %(stream)s AND notification_id > %(after)s AND notification_id <= %(head)s
    UNION ALL
    SELECT {_COLUMNS} FROM ledger_events
    WHERE originator_id >= %(first)s AND originator_id < %(beyond)s
      AND notification_id > %(after)s AND notification_id <= %(head)s
    ORDER BY 1
"""  # noqa: S608  (column names)
_STREAMS = f"""
    SELECT {_COLUMNS} FROM ledger_events
    WHERE originator_id = ANY(%(streams)s) AND notification_id > %(after)s AND notification_id <= %(head)s
    ORDER BY 1
"""  # noqa: S608  (the same)
_CHANGED = """
    SELECT notification_id, originator_id, CASE WHEN topic LIKE 'tool.%%' THEN state END FROM ledger_events
    WHERE notification_id > %s ORDER BY notification_id LIMIT 2000
"""


class PostgresStreamEvents:
    """`domain.live.ports.StreamEvents`.

    All reads of a batch are bounded by one head, which is read first. Positions become visible in their own order, so
    no event before the head can appear later, and batches are consecutive parts of one unchanging sequence.
    """

    def __init__(self, database: Database, registry: EventRegistry) -> None:
        self._database = database
        self._registry = registry

    def of_session(self, session_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        return self._with_tools(session_stream(session_id), turn_stream_prefix(session_id), after, open_tools)

    def of_swarm(self, task_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        return self._with_tools(swarms.stream(task_id), f"turn:{task_id}/", after, open_tools)

    def of_execution(self, execution_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:  # noqa: ARG002
        with self._database.connection() as connection:
            head = _head(connection)
            wanted = {"streams": [runs.stream(execution_id)], "after": after, "head": head}
            return EventBatch(head, self._decode(connection.execute(_STREAMS, wanted, prepare=True).fetchall()))

    def head(self) -> int:
        with self._database.connection() as connection:
            return _head(connection)

    def changed_since(self, position: int) -> tuple[int, frozenset[str]]:
        with self._database.connection() as connection:
            rows = connection.execute(_CHANGED, (position,), prepare=True).fetchall()
        roots = {root for _, stream, state in rows if (root := _root(stream, state)) is not None}
        return (rows[-1][0] if rows else position), frozenset(roots)

    def _with_tools(self, stream: str, prefix: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        with self._database.connection() as connection:
            head = _head(connection)
            bounds = {"after": after, "head": head}
            wanted = {"stream": stream, "first": prefix, "beyond": _beyond(prefix), **bounds}
            found = self._decode(connection.execute(_STREAM_AND_PREFIX, wanted, prepare=True).fetchall())
            calls = [*open_tools, *_requested_tools(found)]
            if calls:
                streams = [tools.stream(call) for call in calls]
                rows = connection.execute(_STREAMS, {"streams": streams, **bounds}, prepare=True).fetchall()
                found = sorted([*found, *self._decode(rows)], key=lambda recorded: recorded.position)
        return EventBatch(head, found)

    def _decode(self, rows: Iterable[StoredRow]) -> list[RecordedEvent]:
        return [decode(self._registry, row) for row in rows]


def _head(connection: Connection) -> int:
    row: Any = connection.execute(_HEAD, prepare=True).fetchone()
    return int(row[0])


def _beyond(prefix: str) -> str:
    """Return the first name, in the order of bytes, behind all with this prefix."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _requested_tools(found: Iterable[RecordedEvent]) -> list[str]:
    return [
        tool.tool_call_id
        for recorded in found
        if isinstance(recorded.event, TurnStepped)
        for tool in recorded.event.tools
        if tool.is_valid
    ]


def _root(stream: str, state: bytes | None) -> str | None:
    """Return the conversation, swarm or execution that a stream of the ledger is part of; None for other streams."""
    kind, _, name = stream.partition(":")
    match kind:
        case "turn":
            return root_of(name.rpartition(":")[0])
        case "session" | "swarm" | "run":
            return name
        case "tool" if state is not None:
            return root_of(orjson.loads(state)["session_id"])
        case _:
            return None

"""The ledger's recorder: one SQL function call appends everything, in one round trip and one order."""

import json
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    IntegrityError,
    Notification,
    StoredEvent,
    Subscription,
)

from adapters.postgres.ledger.group_commit import Append, GroupCommit
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.prepared import Statement, bigint, integer, text, texts
from domain.content import Content
from domain.costs.limits.breach import LimitBreach, LimitReached
from domain.errors import Invalid
from domain.ledger import PendingAppend, StreamsRecorder

_STREAM = Statement(
    b"ledger_stream",
    b"""
    SELECT originator_version, topic, state FROM ledger_events
    WHERE originator_id = $1 AND originator_version > $2 ORDER BY originator_version
    """,
)
_STREAMS = Statement(
    b"ledger_streams",
    b"""
    SELECT originator_id, originator_version, topic, state FROM ledger_events
    WHERE originator_id = ANY($1) ORDER BY originator_id, originator_version
    """,
)
_EVENTS = "SELECT originator_version, topic, state FROM ledger_events WHERE originator_id = %s"
_LAST_STREAMS = """
    SELECT originator_id, originator_version, topic, state FROM ledger_events
    WHERE originator_id IN (
        SELECT DISTINCT originator_id FROM ledger_events WHERE originator_id >= %s AND originator_id < %s
        ORDER BY originator_id DESC LIMIT %s
    ) ORDER BY originator_id, originator_version
"""
_NOTIFICATIONS = """
    SELECT originator_id, originator_version, topic, state, notification_id FROM ledger_events
    WHERE notification_id >= %s AND notification_id <= %s
      AND (%s::text[] IS NULL OR topic = ANY(%s::text[]))
    ORDER BY notification_id LIMIT %s
"""
_HEAD = Statement(b"ledger_head", b"SELECT max(notification_id) FROM ledger_events")
_LAST = 2**63 - 1
_LIMIT_REACHED = "CVB01"
"""The SQLSTATE of an append that a limit on cost refuses; its detail is a `LimitBreach` as JSON."""


class LedgerRecorder(StreamsRecorder):
    """Appends by the function `ledger_append_group`: content, then, under an advisory lock, keys, notice and events.

    The lock makes the order of positions the order of commits, so that no reader ever skips an event.
    """

    def __init__(self, database: Database, noted: Callable[[Sequence[Content]], None] | None = None) -> None:
        """Create it. `noted` is called with the texts that were stored with events."""
        self._database = database
        self._appends = GroupCommit(database)
        self._noted = noted

    def insert_events(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        key: str = "",
        content: Sequence[Content] = (),
        underway: PendingAppend | None = None,
        **_: Any,
    ) -> Sequence[int] | None:
        """Append events; return their positions, in order, or nothing if the key was used before.

        Raises:
            eventsourcing.persistence.IntegrityError: a stream has such a version already, or lacks the one before, or
                the pending append that this one depends on has failed.
            LimitReached: a limit on cost does not cover a reservation among the events.
            domain.errors.Invalid: the key or a stream's name contains text that the database cannot store.
            domain.errors.Unavailable: the database cannot be reached.
        """
        if not key:
            raise ValueError("every append carries an idempotency key")
        try:
            positions = self._appends.write(Append(key, stored_events, content, underway or PendingAppend()))
        except psycopg.IntegrityError as error:
            raise IntegrityError(str(error)) from error
        except (psycopg.DataError, UnicodeEncodeError) as error:
            raise Invalid(f"the ledger cannot store this: {error}") from error
        except psycopg.DatabaseError as error:
            if error.sqlstate != _LIMIT_REACHED:
                raise
            raise LimitReached(LimitBreach.of(json.loads(error.diag.message_detail or "{}"))) from error
        if content and self._noted is not None:
            self._noted(content)
        return positions

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        bounds = [("originator_version > %s", gt), ("originator_version <= %s", lte)]
        wanted = [(clause, value) for clause, value in bounds if value is not None]
        statement = " AND ".join([_EVENTS, *(clause for clause, _ in wanted)])
        statement += f" ORDER BY originator_version {'DESC' if desc else 'ASC'}"
        statement += f" LIMIT {limit:d}" if limit is not None else ""
        parameters = [originator_id, *(value for _, value in wanted)]
        with self._database.connection() as connection:
            rows = connection.execute(statement.encode(), parameters, prepare=True, binary=True).fetchall()
        return [StoredEvent(originator_id, *row) for row in rows]

    def select_stream(self, stream: str, after: int) -> Sequence[StoredEvent]:
        result = self._database.execute(_STREAM, (stream.encode(), bigint(after)))
        value = result.get_value
        return [
            StoredEvent(stream, integer(value(row, 0)), text(value(row, 1)), value(row, 2) or b"")
            for row in range(result.ntuples)
        ]

    def select_streams(self, streams: Sequence[str]) -> Sequence[StoredEvent]:
        result = self._database.execute(_STREAMS, (texts(streams),))
        value = result.get_value
        return [
            StoredEvent(text(value(row, 0)), integer(value(row, 1)), text(value(row, 2)), value(row, 3) or b"")
            for row in range(result.ntuples)
        ]

    def select_last_streams(self, prefix: str, limit: int) -> Sequence[StoredEvent]:
        beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        with self._database.connection() as connection:
            rows = connection.execute(_LAST_STREAMS, (prefix, beyond, limit), prepare=True, binary=True).fetchall()
        return [StoredEvent(*row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = (start or 0) + (0 if inclusive_of_start else 1)
        wanted = list(topics) or None
        parameters = (first, stop if stop is not None else _LAST, wanted, wanted, limit)
        with self._database.connection() as connection:
            rows = connection.execute(_NOTIFICATIONS, parameters, prepare=True, binary=True).fetchall()
        return [Notification(*row) for row in rows]

    def max_notification_id(self) -> int | None:
        head = self._database.execute(_HEAD, ()).get_value(0, 0)
        return None if head is None else integer(head)

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        """Not supported: the projection runner reads the ledger itself, in batches, on its lease's connection."""
        raise NotImplementedError

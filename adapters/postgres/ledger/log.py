"""Reading the ledger for projections, and storing their positions and dead letters."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from domain.errors import Unavailable
from domain.events import EventRegistry, RecordedEvent

Connection = psycopg.Connection[Any]
StoredRow = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic, state."""

_AFTER = """
    SELECT notification_id, originator_id, originator_version, topic, state FROM ledger_events
    WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id LIMIT %s
"""
_POSITIONS = "SELECT projection, position FROM projection_positions WHERE projection = ANY(%s) ORDER BY projection"
_LOCK = """
    SELECT projection, position, ARRAY(
        SELECT DISTINCT stream FROM projection_dead_letters AS d WHERE d.projection = p.projection AND stream = ANY(%s)
    ) FROM projection_positions AS p WHERE projection = ANY(%s) ORDER BY projection FOR UPDATE
"""
_REGISTER = "INSERT INTO projection_positions (projection) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING"
_MOVE = """
    WITH moved AS (
        UPDATE projection_positions SET position = %s, moved_at = now() WHERE projection = ANY(%s)
    ) SELECT pg_notify('projected', %s)
"""
_SET_ASIDE = """
    INSERT INTO projection_dead_letters (projection, position, stream, error) VALUES (%s, %s, %s, %s)
    ON CONFLICT DO NOTHING
"""
LAST = 2**63 - 1

EARLIER_SET_ASIDE = "an earlier event of this stream was set aside"


def read_after(connection: Connection, position: int, limit: int, up_to: int = LAST) -> list[StoredRow]:
    """Return the next events after `position`, as stored."""
    rows: list[StoredRow] = connection.execute(_AFTER, (position, up_to, limit), prepare=True, binary=True).fetchall()
    return rows


def decode(registry: EventRegistry, row: StoredRow) -> RecordedEvent:
    position, stream, version, topic, state = row
    return RecordedEvent(position, stream, version, registry.decode(topic, state))


def register(connection: Connection, names: Iterable[str]) -> None:
    """Register new projections at position 0."""
    connection.execute(_REGISTER, (list(names),))


def read_positions(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the positions of the projections."""
    return dict(connection.execute(_POSITIONS, (list(names),), prepare=True).fetchall())


@dataclass(frozen=True, slots=True)
class LockedProjection:
    """A projection locked against moves, and those of the given streams that it has set aside."""

    position: int
    dead: frozenset[str]


def lock_projections(
    connection: Connection, names: Iterable[str], streams: Iterable[str] = ()
) -> dict[str, LockedProjection]:
    """Lock the projections against moves by others until the end of the transaction."""
    rows = connection.execute(_LOCK, (list(streams), list(names)), prepare=True, binary=True)
    return {name: LockedProjection(position, frozenset(dead)) for name, position, dead in rows}


def advance(connection: Connection, names: Iterable[str], position: int) -> None:
    """Store the position and notify the waiters."""
    moved = dict.fromkeys(names, position)
    connection.execute(_MOVE, (position, list(moved), orjson.dumps(moved).decode()), prepare=True)


def set_aside(connection: Connection, name: str, position: int, stream: str, error: str) -> None:
    """Store a dead letter: an event that a projection cannot process."""
    connection.execute(_SET_ASIDE, (name, position, stream, error[:2000]))


def is_event_fault(error: Exception) -> bool:
    """Return whether the same event would fail again; if in doubt, no, since it can still be retried.

    Program limits count as faults of the event: a key that is too long for an index stays too long.
    """
    if isinstance(error, psycopg.Error):
        of_data = psycopg.DataError | psycopg.IntegrityError | psycopg.errors.ProgramLimitExceeded
        return isinstance(error, of_data)
    return not isinstance(error, Unavailable | OSError | MemoryError)

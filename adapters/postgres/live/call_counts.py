"""The numbers of live frames of model calls, which numbers of later frames depend on."""

from collections.abc import Mapping, Sequence

from adapters.postgres.ledger.pool import Database
from domain.live.frames import LOST, CountedCall, SealedCall

_OF_STREAM = "SELECT call_id, generation, frames FROM live_calls WHERE stream = %s"
_OPEN = "INSERT INTO live_calls (stream, call_id, generation) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
_ONE = "SELECT generation, frames FROM live_calls WHERE stream = %s AND call_id = %s"
_CLOSE = """
    INSERT INTO live_calls AS known (stream, call_id, generation, frames)
    SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::integer[])
    ON CONFLICT (stream, call_id) DO UPDATE
    SET frames = CASE WHEN known.generation = excluded.generation THEN excluded.frames ELSE %s END
    WHERE known.frames IS NULL
"""
_CLOSED = "SELECT call_id, frames FROM live_calls WHERE stream = %s AND call_id = ANY(%s)"


class PostgresCallCounts:
    """`domain.live.ports.CallCounts`. Each statement commits by itself: the first one to close a call decides."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_stream(self, stream: str) -> Mapping[str, CountedCall]:
        with self._database.connection() as connection:
            rows = connection.execute(_OF_STREAM, (stream,), prepare=True).fetchall()
        return {call_id: CountedCall(generation, frames) for call_id, generation, frames in rows}

    def open(self, stream: str, call_id: str, generation: str) -> CountedCall:
        with self._database.connection() as connection:
            connection.execute(_OPEN, (stream, call_id, generation), prepare=True)
            row = connection.execute(_ONE, (stream, call_id), prepare=True).fetchone()
        return CountedCall(*row) if row else CountedCall(generation)

    def close(self, stream: str, sealed: Sequence[SealedCall]) -> Mapping[str, int]:
        calls = sorted(sealed, key=lambda call: call.call_id)  # one order of locks for all who close
        names = [call.call_id for call in calls]
        columns = (names, [call.generation for call in calls], [call.frames for call in calls])
        with self._database.connection() as connection:
            connection.execute(_CLOSE, (stream, *columns, LOST), prepare=True)
            return dict(connection.execute(_CLOSED, (stream, names), prepare=True).fetchall())

"""Prepared statements executed by libpq directly, at a fifth of psycopg's CPU time on the ledger's hot path.

Parameters and results are in PostgreSQL's binary format, encoded and decoded here. Strings must not contain NUL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

_TEXT, _BIGINT, _BYTEA = 25, 20, 17
_ARRAY = Struct("!iiiii")
_LENGTH = Struct("!i")
_LONG = Struct("!q")
_GOOD = {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}
_BINARY = 1


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that each connection prepares once, as `name`; parameters are `$1`, `$2`, ..."""

    name: bytes
    sql: bytes


def execute_prepared(
    connection: psycopg.Connection[Any],
    prepared: set[bytes],
    statement: Statement,
    parameters: Sequence[bytes],
) -> PGresult:
    """Execute a statement, which is prepared first unless its name is in `prepared`.

    Blocks without holding the GIL, until the server's timeouts or the socket's.

    Raises:
        psycopg.Error: the statement failed, as the class of its SQLSTATE.
    """
    libpq = connection.pgconn
    if statement.name not in prepared:
        _check(libpq.prepare(statement.name, statement.sql))
        prepared.add(statement.name)
    return _check(libpq.exec_prepared(statement.name, parameters, [_BINARY] * len(parameters), _BINARY))


def _check(result: PGresult) -> PGresult:
    if result.status not in _GOOD:
        error = psycopg.errors.error_from_result(result)
        if error.sqlstate is None:  # an error of libpq, not of the server: the connection is lost
            raise psycopg.OperationalError(str(error))
        raise error
    return result


def _array(oid: int, items: Sequence[bytes]) -> bytes:
    if not items:
        return _EMPTY[oid]
    parts = [_ARRAY.pack(1, 0, oid, len(items), 1)]
    for item in items:
        parts.append(_LENGTH.pack(len(item)))
        parts.append(item)
    return b"".join(parts)


_EMPTY = {oid: Struct("!iii").pack(0, 0, oid) for oid in (_TEXT, _BIGINT, _BYTEA)}


def texts(items: Sequence[str]) -> bytes:
    """Encode a `text[]`."""
    return _array(_TEXT, [item.encode() for item in items])


def bigints(items: Sequence[int]) -> bytes:
    """Encode a `bigint[]`."""
    return _array(_BIGINT, [_LONG.pack(item) for item in items])


def byteas(items: Sequence[bytes]) -> bytes:
    """Encode a `bytea[]`."""
    return _array(_BYTEA, items)


def bigint(number: int) -> bytes:
    return _LONG.pack(number)


def integer(value: bytes | None) -> int:
    """Decode a `bigint` that cannot be null."""
    return int.from_bytes(value or b"", "big", signed=True)


def text(value: bytes | None) -> str:
    """Decode a `text` that cannot be null."""
    return (value or b"").decode()


def bigint_array(value: bytes | None) -> list[int]:
    """Decode a `bigint[]` without nulls."""
    if not value or len(value) < _ARRAY.size:
        return []
    size = _LENGTH.size + _LONG.size
    return [_LONG.unpack_from(value, at)[0] for at in range(_ARRAY.size + _LENGTH.size, len(value), size)]

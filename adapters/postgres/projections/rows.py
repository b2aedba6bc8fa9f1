"""Rows of projections: loaded and written in batches, or copied as a whole."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from typing import Any, cast

import orjson
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from domain.projection import Key, R, Row

Connection = psycopg.Connection[Any]


@cache
def columns(kind: type[Row]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def key_of(row: Row) -> Key:
    return tuple(getattr(row, name) for name in row.KEY)


def values_of(row: Row) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in columns(type(row)))


def _names(names: Iterable[str], *qualifier: str) -> sql.Composed:
    return sql.SQL(", ").join([sql.Identifier(*qualifier, name) for name in names])


def _dumps(value: object) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:  # an integer beyond 64 bits, from JSON input
        return json.dumps(value, default=str)


def _json(records: Iterable[Mapping[str, object]]) -> str:
    return _dumps(list(records))


@cache
def _load(kind: type[Row], table: str) -> bytes:
    return (
        sql.SQL(
            "SELECT {columns} FROM {table} AS t JOIN jsonb_populate_recordset(NULL::{table}, %s) AS k USING ({key})"
        )
        .format(columns=_names(columns(kind), "t"), table=sql.Identifier(table), key=_names(kind.KEY))
        .as_bytes()
    )


@cache
def _upsert(kind: type[Row], table: str) -> bytes:
    rest = [name for name in columns(kind) if name not in kind.KEY]
    update = sql.SQL("UPDATE SET ({}) = ROW({})").format(_names(rest), _names(rest, "excluded"))
    return (
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, %s)"
            " ON CONFLICT ({key}) DO {action}"
        )
        .format(
            table=sql.Identifier(table),
            columns=_names(columns(kind)),
            key=_names(kind.KEY),
            action=update if rest else sql.SQL("NOTHING"),
        )
        .as_bytes()
    )


@cache
def _delete(kind: type[Row], table: str) -> bytes:
    return (
        sql.SQL(
            "DELETE FROM {table} AS t USING jsonb_populate_recordset(NULL::{table}, %s) AS k WHERE ({own}) = ({key})"
        )
        .format(
            table=sql.Identifier(table),
            own=_names(kind.KEY, "t"),
            key=_names(kind.KEY, "k"),
        )
        .as_bytes()
    )


def load(connection: Connection, kind: type[R], keys: Iterable[Key], table: str | None = None) -> list[R]:
    """Return the existing rows of these keys from the view's table, or from one of the same shape."""
    wanted = _json(dict(zip(kind.KEY, key, strict=True)) for key in keys)
    rows = connection.execute(_load(kind, table or kind.TABLE), (wanted,), prepare=True, binary=True)
    return [kind(*values) for values in rows]


def upsert(connection: Connection, kind: type[Row], rows: Collection[Row], table: str | None = None) -> None:
    """Write the rows in one statement, into the view's table or one of the same shape."""
    if rows:
        records = (dict(zip(columns(kind), values_of(row), strict=True)) for row in rows)
        connection.execute(_upsert(kind, table or kind.TABLE), (_json(records),), prepare=True)


def delete(connection: Connection, kind: type[Row], keys: Collection[Key], table: str | None = None) -> None:
    """Delete the rows of these keys in one statement."""
    if keys:
        records = (dict(zip(kind.KEY, key, strict=True)) for key in keys)
        connection.execute(_delete(kind, table or kind.TABLE), (_json(records),), prepare=True)


def copy_in(connection: Connection, table: str, kind: type[Row], rows: Iterable[Row]) -> None:
    """Fill an empty table of the view's shape."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), _names(columns(kind)))
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row([Jsonb(v, _dumps) if isinstance(v, dict) else v for v in values_of(row)])


def digest(connection: Connection, table: str, kind: type[Row]) -> tuple[int, str]:
    """Return a table's number of rows, and a digest over the text of all in key order: equal only if byte-equal."""
    statement = sql.SQL(
        "SELECT count(*), encode(sha256(coalesce(string_agg(sha256(convert_to(t::text, 'UTF8')), ''::bytea"
        " ORDER BY {key}), ''::bytea)), 'hex') FROM {table} AS t"
    ).format(table=sql.Identifier(table), key=_names(kind.KEY, "t"))
    row = connection.execute(statement).fetchone()
    return (row[0], row[1]) if row else (0, "")


class LiveRows:
    """`domain.projection.Rows` on tables: loads rows on demand, keeps changes until `flush`.

    `named` maps the names of the live tables to those to use.
    """

    def __init__(self, connection: Connection, named: Callable[[str], str] = str) -> None:
        self._connection = connection
        self._named = named
        self._rows: dict[type[Row], dict[Key, Row | None]] = {}
        self._changed: dict[type[Row], set[Key]] = {}

    def prefetch(self, touched: Iterable[tuple[type[Row], Key]]) -> None:
        """Load rows in one query per table instead of one by one."""
        missing: dict[type[Row], set[Key]] = {}
        for kind, key in touched:
            if key not in self._rows.setdefault(kind, {}):
                missing.setdefault(kind, set()).add(key)
        for kind, keys in missing.items():
            self._rows[kind].update(dict.fromkeys(keys))
            self._rows[kind].update({key_of(row): row for row in self._load(kind, keys)})

    def _load(self, kind: type[R], keys: Iterable[Key]) -> list[R]:
        table = self._named(kind.TABLE)
        return load(self._connection, kind, keys, *([] if table == kind.TABLE else [table]))

    def get(self, kind: type[R], *key: object) -> R | None:
        self.prefetch([(kind, key)])
        return cast("R | None", self._rows[kind][key])

    def several(self, kind: type[R], keys: Iterable[Key]) -> list[R]:
        wanted = list(keys)
        self.prefetch((kind, key) for key in wanted)
        found = (self._rows[kind][key] for key in wanted)
        return [cast("R", row) for row in found if row is not None]

    def put(self, row: Row) -> None:
        key = key_of(row)
        self._rows.setdefault(type(row), {})[key] = row
        self._changed.setdefault(type(row), set()).add(key)

    def drop(self, kind: type[Row], *key: object) -> None:
        self._rows.setdefault(kind, {})[key] = None
        self._changed.setdefault(kind, set()).add(key)

    def flush(self) -> None:
        """Write all changes."""
        for kind, keys in self._changed.items():
            rows = {key: self._rows[kind][key] for key in keys}
            table = self._named(kind.TABLE)
            upsert(self._connection, kind, [row for row in rows.values() if row is not None], table)
            delete(self._connection, kind, [key for key, row in rows.items() if row is None], table)
        self._changed.clear()


class RowsInMemory:
    """`domain.projection.Rows` without a database, for rebuilds."""

    def __init__(self) -> None:
        self.changed: dict[type[Row], set[Key]] = {}
        self._tables: dict[type[Row], dict[Key, Row]] = {}
        self._undo: list[tuple[type[Row], Key, Row | None]] = []

    @contextmanager
    def one_event(self) -> Iterator[None]:
        """Keep all changes of one event, or none if it raises."""
        self._undo.clear()
        try:
            yield
        except BaseException:
            for kind, key, row in reversed(self._undo):
                self._set(kind, key, row)
            raise

    def all(self, kind: type[Row]) -> Iterable[Row]:
        return self._tables.get(kind, {}).values()

    def get(self, kind: type[R], *key: object) -> R | None:
        return cast("R | None", self._tables.get(kind, {}).get(key))

    def several(self, kind: type[R], keys: Iterable[Key]) -> list[R]:
        return [row for key in keys if (row := self.get(kind, *key)) is not None]

    def put(self, row: Row) -> None:
        self._change(type(row), key_of(row), row)

    def drop(self, kind: type[Row], *key: object) -> None:
        self._change(kind, key, None)

    def _change(self, kind: type[Row], key: Key, row: Row | None) -> None:
        self._undo.append((kind, key, self._tables.get(kind, {}).get(key)))
        self._set(kind, key, row)
        self.changed.setdefault(kind, set()).add(key)

    def _set(self, kind: type[Row], key: Key, row: Row | None) -> None:
        table = self._tables.setdefault(kind, {})
        if row is None:
            table.pop(key, None)
        else:
            table[key] = row

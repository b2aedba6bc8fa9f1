"""Builds a projection anew from the ledger, beside the live one, and swaps."""

from dataclasses import dataclass

import structlog
from psycopg import sql

from adapters.postgres import log
from adapters.postgres.log import Connection
from adapters.postgres.pool import connect
from adapters.postgres.views import RowsInMemory, copy_in, delete, digest, upsert
from domain.events import Registry
from domain.projection import Projection, Row

_READ = 10_000
_NEAR = 1_000
"""With fewer events than this to go, the live projection is held still for the rest."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table at one position, as it was live and as it is rebuilt: rows, and a digest over all their text."""

    table: str
    live: tuple[int, str]
    rebuilt: tuple[int, str]

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did: events folded, the position it stands at, events set aside, and the comparisons."""

    projection: str
    events: int
    position: int
    set_aside: int
    comparisons: tuple[Comparison, ...]


class Rebuild:
    """One rebuild of one projection. The live tables serve readers until the swap, one short transaction."""

    def __init__(self, dsn: str, registry: Registry, projection: Projection) -> None:
        self._dsn = dsn
        self._registry = registry
        self._projection = projection
        self._rows = RowsInMemory()
        self._dead: dict[int, tuple[str, str]] = {}
        self._dead_streams: set[str] = set()
        self._position = 0
        self._events = 0
        self._log = structlog.get_logger("rebuild")

    def run(self, *, compare: bool = True, swap: bool = True) -> Rebuilt:
        """Rebuild and swap; with `compare`, digest the live tables at the same position first.

        Without `swap` the live tables stay, and nothing is left beside them.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        with connect(self._dsn) as connection:
            log.enrol(connection, [self._projection.name])
            self._fold_to(connection, self._live_position(connection))
            self._fill(connection)
            while (live := self._live_position(connection)) - self._position > _NEAR:
                self._follow_to(connection, live)
            return self._finish(connection, compare=compare, swap=swap)

    def _live_position(self, connection: Connection) -> int:
        return log.positions(connection, [self._projection.name])[self._projection.name]

    def _fold_to(self, connection: Connection, position: int) -> None:
        while stored := log.after(connection, self._position, _READ, up_to=position):
            for row in stored:
                self._fold(row)
            self._position = stored[-1][0]
            self._events += len(stored)
        self._position = max(self._position, position)

    def _fold(self, row: log.Stored) -> None:
        if row[1] in self._dead_streams:
            self._dead[row[0]] = (row[1], log.EARLIER)
            return
        try:
            with self._rows.one_event():
                self._projection.project(log.decoded(self._registry, row), self._rows)
        except Exception as error:  # noqa: BLE001  (the dead-letter rule: set aside, shown, and on)
            self._dead[row[0]] = (row[1], repr(error))
            self._dead_streams.add(row[1])

    def _fill(self, connection: Connection) -> None:
        for kind in self._projection.kinds:
            table, beside = sql.Identifier(kind.TABLE), sql.Identifier(_beside(kind))
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(beside))
            connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(beside, table))
            copy_in(connection, _beside(kind), kind, self._rows.all(kind))
        self._rows.changed.clear()

    def _follow_to(self, connection: Connection, position: int) -> None:
        self._fold_to(connection, position)
        for kind in self._projection.kinds:
            keys = self._rows.changed.pop(kind, set())
            rows = {key: self._rows.get(kind, *key) for key in keys}
            upsert(connection, kind, [row for row in rows.values() if row is not None], _beside(kind))
            delete(connection, kind, [key for key, row in rows.items() if row is None], _beside(kind))

    def _finish(self, connection: Connection, *, compare: bool, swap: bool) -> Rebuilt:
        """Catch up while the live projection is held still, compare, and swap or clear away."""
        name, kinds = self._projection.name, self._projection.kinds
        with connection.transaction():
            position = log.positions(connection, [name], lock=True)[name]
            self._follow_to(connection, position)
            comparisons = tuple(_compared(connection, kind) for kind in kinds) if compare else ()
            if swap:
                self._swap(connection, position)
            else:
                for kind in kinds:
                    connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(_beside(kind))))
        self._log.info("rebuilt", projection=name, events=self._events, position=position, set_aside=len(self._dead))
        return Rebuilt(name, self._events, position, len(self._dead), comparisons)

    def _swap(self, connection: Connection, position: int) -> None:
        name = self._projection.name
        for kind in self._projection.kinds:
            table, beside = sql.Identifier(kind.TABLE), sql.Identifier(_beside(kind))
            connection.execute(sql.SQL("DROP TABLE {}").format(table))
            connection.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(beside, table))
        connection.execute("DELETE FROM projection_dead_letters WHERE projection = %s", (name,))
        for at, (stream, error) in self._dead.items():
            log.set_aside(connection, name, at, stream, error)
        log.move(connection, [name], position)


def _beside(kind: type[Row]) -> str:
    return f"{kind.TABLE}__rebuild"


def _compared(connection: Connection, kind: type[Row]) -> Comparison:
    return Comparison(kind.TABLE, digest(connection, kind.TABLE, kind), digest(connection, _beside(kind), kind))

"""Builds a projection anew from the ledger, beside the live one, and swaps."""

import time
from dataclasses import dataclass

import psycopg
import structlog
from psycopg import sql

from adapters.postgres import beside, log
from adapters.postgres.leases import lease
from adapters.postgres.log import Connection
from adapters.postgres.pool import connect, translated
from adapters.postgres.views import RowsInMemory, copy_in, delete, digest, upsert
from domain.errors import Conflict
from domain.events import Registry
from domain.projection import Projection

_READ = 10_000
_NEAR = 1_000
"""With fewer events than this to go, the live projection is held still for the rest."""
_SWAP_TRIES = 20
_LEASE = 7152350


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
        """Rebuild and swap; with `compare`, digest both tables as they stand at one position, without holding anybody.

        Without `swap` the live tables stay, and the new ones are dropped once they were compared.

        Raises:
            domain.errors.Conflict: this projection is being rebuilt by somebody else.
            domain.errors.Unavailable: the database cannot be reached, or readers kept the tables in use.
            psycopg.DataError: a row does not fit its table. The live tables are as they were.
        """
        with (
            translated(),
            connect(self._dsn) as connection,
            lease(connection, _LEASE, self._projection.name) as held,
        ):
            if not held:
                raise Conflict(f"{self._projection.name} is being rebuilt already")
            log.enrol(connection, [self._projection.name])
            self._fold_to(connection, self._live_position(connection))
            self._fill(connection)
            comparisons = self._compared(connection) if compare else ()
            if not swap:
                return self._forget(connection, comparisons)
            while (live := self._live_position(connection)) - self._position > _NEAR:
                self._fold_to(connection, live)
                self._write(connection)
                self._rows.changed.clear()
            return self._swap(connection, comparisons)

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
            beside.create(connection, kind.TABLE)
            copy_in(connection, beside.name(kind.TABLE), kind, self._rows.all(kind))
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(beside.name(kind.TABLE))))
        self._rows.changed.clear()

    def _write(self, connection: Connection) -> None:
        """Bring the new tables to what is in memory."""
        for kind, keys in self._rows.changed.items():
            rows = {key: self._rows.get(kind, *key) for key in keys}
            table = beside.name(kind.TABLE)
            upsert(connection, kind, [row for row in rows.values() if row is not None], table)
            delete(connection, kind, [key for key, row in rows.items() if row is None], table)

    def _compared(self, connection: Connection) -> tuple[Comparison, ...]:
        """Live and new tables in one snapshot, the new ones brought to the live position in it."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._fold_to(connection, self._live_position(connection))
            self._write(connection)
            comparisons = tuple(
                Comparison(
                    kind.TABLE,
                    digest(connection, kind.TABLE, kind),
                    digest(connection, beside.name(kind.TABLE), kind),
                )
                for kind in self._projection.kinds
            )
        self._rows.changed.clear()
        return comparisons

    def _forget(self, connection: Connection, comparisons: tuple[Comparison, ...]) -> Rebuilt:
        for kind in self._projection.kinds:
            beside.drop(connection, kind.TABLE)
        return Rebuilt(self._projection.name, self._events, self._position, len(self._dead), comparisons)

    def _swap(self, connection: Connection, comparisons: tuple[Comparison, ...]) -> Rebuilt:
        name = self._projection.name
        for tries in range(1, _SWAP_TRIES + 1):
            try:
                position = self._swap_once(connection, name)
            except psycopg.errors.LockNotAvailable:  # a long read; the next readers shall not wait behind us
                if tries == _SWAP_TRIES:
                    raise
                time.sleep(0.1)
            else:
                break
        self._rows.changed.clear()
        self._log.info("rebuilt", projection=name, events=self._events, position=position, set_aside=len(self._dead))
        return Rebuilt(name, self._events, position, len(self._dead), comparisons)

    def _swap_once(self, connection: Connection, name: str) -> int:
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '2s'")
            position = log.hold(connection, [name])[name].position
            self._fold_to(connection, position)
            self._write(connection)
            for kind in self._projection.kinds:
                beside.take_over(connection, kind.TABLE)
            connection.execute("DELETE FROM projection_dead_letters WHERE projection = %s", (name,))
            for at, (stream, error) in self._dead.items():
                log.set_aside(connection, name, at, stream, error)
            log.move(connection, [name], position)
        return position

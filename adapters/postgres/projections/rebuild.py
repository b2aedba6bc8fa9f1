"""Rebuilds a projection from the ledger in shadow tables, and swaps them with the live ones."""

import time
from dataclasses import dataclass

import psycopg
import structlog
from psycopg import sql

from adapters.postgres.ledger import log
from adapters.postgres.ledger.log import Connection
from adapters.postgres.ledger.pool import connect, translate_database_errors
from adapters.postgres.projections import shadow_tables
from adapters.postgres.projections.fold import Fold, FoldInMemory, FoldInTables
from adapters.postgres.projections.leases import lease
from adapters.postgres.projections.rows import copy_in, digest
from domain.errors import Conflict
from domain.events import EventRegistry
from domain.projection import Projection

_NEAR = 1_000
"""Number of remaining events below which the live projection is locked for the rest."""
_SWAP_ATTEMPTS = 20
_LEASE = 7152350


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table at one position, live and rebuilt: the number of rows, and a digest over all their text."""

    table: str
    live: tuple[int, str]
    rebuilt: tuple[int, str]

    @property
    def equal(self) -> bool:
        return self.live == self.rebuilt


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """The result of a rebuild: events folded, its position, events set aside, and the comparisons."""

    projection: str
    events: int
    position: int
    set_aside: int
    comparisons: tuple[Comparison, ...]


class Rebuild:
    """One rebuild of one projection. The live tables serve reads until the swap, a short transaction."""

    folds_in_tables = True

    def __init__(self, dsn: str, registry: EventRegistry, projection: Projection) -> None:
        self._dsn = dsn
        self._registry = registry
        self._projection = projection
        self._fold: Fold = FoldInMemory(registry, projection)
        self._log = structlog.get_logger("rebuild")

    def run(self, *, compare: bool = True, swap: bool = True) -> RebuildReport:
        """Rebuild and swap; with `compare`, digest both tables at one position, without locking out anybody.

        Without `swap` the live tables stay, and the new ones are dropped after the comparison. An event whose row does
        not fit its table is set aside, as by the runner.

        Raises:
            domain.errors.Conflict: another process is rebuilding this projection.
            domain.errors.Unavailable: the database cannot be reached, or long reads kept the tables locked.
        """
        with (
            translate_database_errors(),
            connect(self._dsn) as connection,
            lease(connection, _LEASE, self._projection.name) as held,
        ):
            if not held:
                raise Conflict(f"{self._projection.name} is being rebuilt already")
            self._register(connection)
            try:
                return self._run(connection, compare=compare, swap=swap)
            except psycopg.Error as error:
                if not self.folds_in_tables or not log.is_event_fault(error):
                    raise
                self._log.warning("a row does not fit its table: folding in the tables", error=str(error))
            self._fold = FoldInTables(self._registry, self._projection)
            return self._run(connection, compare=compare, swap=swap)

    def _run(self, connection: Connection, *, compare: bool, swap: bool) -> RebuildReport:
        for kind in self._projection.kinds:
            shadow_tables.create_shadow(connection, kind.TABLE)
        self._fold.fold_to(connection, self._live_position(connection))
        for kind in self._projection.kinds:
            copy_in(connection, shadow_tables.shadow_name(kind.TABLE), kind, self._fold.rows_to_copy(kind))
            connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(shadow_tables.shadow_name(kind.TABLE))))
        self._fold.confirm()
        comparisons = self._compare(connection) if compare else ()
        if not swap:
            return self._discard(connection, comparisons)
        while (live := self._live_position(connection)) - self._fold.stands.position > _NEAR:
            self._fold.fold_to(connection, live)
            self._fold.write(connection)
            self._fold.confirm()
        return self._swap(connection, comparisons)

    def _register(self, connection: Connection) -> None:
        log.register(connection, [self._projection.name])

    def _live_position(self, connection: Connection) -> int:
        return log.read_positions(connection, [self._projection.name])[self._projection.name]

    def _compare(self, connection: Connection) -> tuple[Comparison, ...]:
        """Compare live and new tables in one snapshot, after folding the new ones up to the live position in it."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            self._fold.fold_to(connection, self._live_position(connection))
            self._fold.write(connection)
            comparisons = tuple(
                Comparison(
                    kind.TABLE,
                    digest(connection, kind.TABLE, kind),
                    digest(connection, shadow_tables.shadow_name(kind.TABLE), kind),
                )
                for kind in self._projection.kinds
            )
        self._fold.confirm()
        return comparisons

    def _discard(self, connection: Connection, comparisons: tuple[Comparison, ...]) -> RebuildReport:
        for kind in self._projection.kinds:
            shadow_tables.drop_shadow(connection, kind.TABLE)
        return self._report(self._fold.stands.position, comparisons)

    def _report(self, position: int, comparisons: tuple[Comparison, ...]) -> RebuildReport:
        stands = self._fold.stands
        return RebuildReport(self._projection.name, stands.events, position, len(stands.dead), comparisons)

    def _swap(self, connection: Connection, comparisons: tuple[Comparison, ...]) -> RebuildReport:
        for tries in range(1, _SWAP_ATTEMPTS + 1):
            stood = self._fold.stands.copy()
            try:
                position = self._swap_once(connection, self._projection.name)
            except psycopg.errors.LockNotAvailable:  # a long read: retry, so that readers do not queue up
                if tries == _SWAP_ATTEMPTS:
                    raise
                self._fold.reset(stood)
                time.sleep(0.1)
            else:
                break
        self._fold.confirm()
        done = self._report(position, comparisons)
        self._log.info(
            "rebuilt", projection=done.projection, events=done.events, position=position, set_aside=done.set_aside
        )
        return done

    def _swap_once(self, connection: Connection, name: str) -> int:
        with connection.transaction():
            # DROP TABLE waits for readers, and all later readers wait behind it
            connection.execute("SET LOCAL lock_timeout = '2s'")
            position = log.lock_projections(connection, [name])[name].position
            self._fold.fold_to(connection, position)
            self._fold.write(connection)
            for kind in self._projection.kinds:
                shadow_tables.swap_in(connection, kind.TABLE)
            connection.execute("DELETE FROM projection_dead_letters WHERE projection = %s", (name,))
            for at, (stream, error) in self._fold.stands.dead.items():
                log.set_aside(connection, name, at, stream, error)
            log.advance(connection, [name], position)
        return position

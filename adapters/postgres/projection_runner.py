"""Keeps the views up with the ledger: one runner per deployment, in batches, never stopped by a bad event."""

import time
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from threading import Event as Flag

import psycopg
import structlog

from adapters.postgres import log
from adapters.postgres.log import Connection, Stored
from adapters.postgres.pool import connect
from adapters.postgres.views import LiveRows
from domain.errors import Unavailable
from domain.events import Recorded, Registry
from domain.projection import Projection

BATCH = 500
"""Events per transaction."""
REST = 4
"""After a batch that was not full the runner rests this many times as long as it worked: a fifth of a core at most."""
LONGEST_REST_S = 0.05
_POLL_S = 1.0
_LONGEST_PAUSE_S = 5.0
_LEASE = 7152349


class ProjectionRunner:
    """Folds new events into the views on the connection that holds the lease, so a lost lease cannot write."""

    def __init__(self, dsn: str, registry: Registry, projections: Sequence[Projection]) -> None:
        self._dsn = dsn
        self._registry = registry
        self._projections = {projection.name: projection for projection in projections}
        self._dead: set[tuple[str, str]] = set()
        self._log = structlog.get_logger("projections")

    def run(self, stop: Flag) -> None:
        """Project until `stop` is set. Waits for the lease, and for a database that is away."""
        pause = _POLL_S
        while not stop.is_set():
            try:
                with connect(self._dsn) as connection:
                    if leased(connection):
                        self._log.info("lease taken", projections=sorted(self._projections))
                        pause = _POLL_S
                        self._follow(connection, stop)
                    else:
                        stop.wait(_POLL_S)
            except (Unavailable, psycopg.OperationalError) as error:
                self._log.warning("database away", error=str(error), retry_in_s=pause)
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)

    def catch_up(self) -> None:
        """Project all there is, once, under the lease.

        Raises:
            domain.errors.Unavailable: another runner holds the lease.
        """
        with connect(self._dsn) as connection:
            if not leased(connection):
                raise Unavailable("another projection runner holds the lease")
            self._enrol(connection)
            while self.step(connection):
                pass

    def _follow(self, connection: Connection, stop: Flag) -> None:
        self._enrol(connection)
        connection.execute("LISTEN ledger")
        while not stop.is_set():
            started = time.monotonic()
            if self.step(connection) >= BATCH:
                continue
            stop.wait(min(REST * (time.monotonic() - started), LONGEST_REST_S))
            for _ in connection.notifies(timeout=_POLL_S, stop_after=1):
                pass

    def _enrol(self, connection: Connection) -> None:
        log.enrol(connection, self._projections)
        self._dead = log.dead_streams(connection)

    def step(self, connection: Connection) -> int:
        """Move each projection on by a batch at most. Returns the number of events in the largest one."""
        stands = sorted(log.positions(connection, self._projections).items(), key=itemgetter(1))
        largest = 0
        for position, group in groupby(stands, key=itemgetter(1)):
            if stored := log.after(connection, position, BATCH):
                self._take(connection, [name for name, _ in group], position, stored)
            largest = max(largest, len(stored))
        return largest

    def _take(self, connection: Connection, names: list[str], position: int, stored: list[Stored]) -> None:
        try:
            with connection.transaction():
                if _unmoved(connection, names, position):
                    recorded = [log.decoded(self._registry, row) for row in stored]
                    for name in names:
                        self._fold(connection, name, recorded)
                    log.move(connection, names, stored[-1][0])
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (whatever one event does, the others are to go on)
            self._log.warning("a batch failed, taking it event by event", after=position, error=repr(error))
            for name in names:
                self._take_singly(connection, name, position, stored)

    def _fold(self, connection: Connection, name: str, recorded: Sequence[Recorded]) -> None:
        projection, rows = self._projections[name], LiveRows(connection)
        taken = [r for r in recorded if (name, r.stream) not in self._dead]
        rows.prefetch(touched for r in taken for touched in projection.touches(r))
        for r in taken:
            projection.project(r, rows)
        rows.flush()
        for r in recorded:
            if (name, r.stream) in self._dead:
                self._set_aside(connection, name, r.position, r.stream, log.EARLIER)

    def _take_singly(self, connection: Connection, name: str, position: int, stored: list[Stored]) -> None:
        for row in stored:
            with connection.transaction():
                if not _unmoved(connection, [name], position):
                    return
                self._take_or_set_aside(connection, name, row)
                position = row[0]
                log.move(connection, [name], position)

    def _take_or_set_aside(self, connection: Connection, name: str, row: Stored) -> None:
        try:
            with connection.transaction():
                self._fold(connection, name, [log.decoded(self._registry, row)])
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001  (the dead-letter rule: set aside, shown, and on)
            self._set_aside(connection, name, row[0], row[1], repr(error))

    def _set_aside(self, connection: Connection, name: str, position: int, stream: str, error: str) -> None:
        self._log.error("event set aside", projection=name, position=position, stream=stream, error=error)
        log.set_aside(connection, name, position, stream, error)
        self._dead.add((name, stream))


def leased(connection: Connection) -> bool:
    """Whether this connection now holds the runner's lease; it does until it closes."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LEASE,)).fetchone()
    return bool(row and row[0])


def _unmoved(connection: Connection, names: list[str], position: int) -> bool:
    """Lock the positions. A rebuild may have moved them since they were read: then the next step sees it."""
    return all(stands == position for stands in log.positions(connection, names, lock=True).values())

"""Keeps the views up to date: one runner per deployment, in batches, never stopped by a bad event."""

import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from threading import Event as Flag

import psycopg
import structlog

from adapters.postgres.ledger import log
from adapters.postgres.ledger.log import Connection, StoredRow
from adapters.postgres.ledger.pool import connect
from adapters.postgres.projections.leases import lease
from adapters.postgres.projections.rows import LiveRows
from domain.errors import Unavailable
from domain.events import EventRegistry, RecordedEvent
from domain.projection import Projection

BATCH = 500
"""Maximum events per transaction."""
REST_FACTOR = 50
"""Factor of the time of a partial batch for which the runner then rests, unless a reader waits."""
MAX_REST_S = 0.4
_POLL_S = 1.0
_MAX_PAUSE_S = 5.0
_LEASE = 7152349
_NOTICES = "SELECT setval('ledger_notices', %s)"


class ProjectionRunner:
    """Folds new events into the views on the connection that holds the lease, so that losing it stops all writes."""

    def __init__(self, dsn: str, registry: EventRegistry, projections: Sequence[Projection]) -> None:
        self._dsn = dsn
        self._registry = registry
        self._projections = {projection.name: projection for projection in projections}
        self._log = structlog.get_logger("projections")

    def run(self, stop: Flag) -> None:
        """Project until `stop` is set. Waits for the lease, and for an unreachable database."""
        pause = _POLL_S
        while not stop.is_set():
            try:
                with connect(self._dsn) as connection, lease(connection, _LEASE, "projections") as held:
                    if held:
                        self._log.info("lease taken", projections=sorted(self._projections))
                        pause = _POLL_S
                        self._follow(connection, stop)
                    else:
                        stop.wait(_POLL_S)
            except (Unavailable, psycopg.Error) as error:
                self._log.warning("cannot project", error=str(error), retry_in_s=pause)
                stop.wait(pause)
                pause = min(pause * 2, _MAX_PAUSE_S)

    def catch_up(self) -> None:
        """Project all pending events once, under the lease.

        Raises:
            domain.errors.Unavailable: another runner holds the lease.
        """
        with connect(self._dsn) as connection, lease(connection, _LEASE, "projections") as held:
            if not held:
                raise Unavailable("another projection runner holds the lease")
            self._prepare(connection)
            while self.step(connection):
                pass

    def _prepare(self, connection: Connection) -> None:
        """Commit asynchronously: a crash may lose the newest rows, but with their position, so they are refolded."""
        connection.execute("SET synchronous_commit = off")
        log.register(connection, self._projections)

    def _follow(self, connection: Connection, stop: Flag) -> None:
        self._prepare(connection)
        connection.execute("LISTEN ledger")
        connection.execute("LISTEN wanted")
        _set_notifications(connection, wanted=True)
        while not stop.is_set():
            started = time.monotonic()
            if moved := self.step(connection):
                if moved < BATCH:
                    _rest(connection, min(REST_FACTOR * (time.monotonic() - started), MAX_REST_S))
                continue
            for timeout in (_POLL_S, 0):  # wait for a notification, then drain those that came with it
                for _ in connection.notifies(timeout=timeout, stop_after=1 if timeout else None):
                    pass

    def step(self, connection: Connection) -> int:
        """Advance each projection by one batch at most. Returns the number of events in the largest one."""
        stands = sorted(log.read_positions(connection, self._projections).items(), key=itemgetter(1))
        largest = 0
        for position, group in groupby(stands, key=itemgetter(1)):
            if stored := log.read_after(connection, position, BATCH):
                self._fold_batch(connection, [name for name, _ in group], position, stored)
            largest = max(largest, len(stored))
        return largest

    def _fold_batch(self, connection: Connection, names: list[str], position: int, stored: list[StoredRow]) -> None:
        try:
            with connection.transaction():
                # the positions were read without a lock: check them again under it, or events fold twice
                held = log.lock_projections(connection, names, {row[1] for row in stored})
                if _is_unmoved(held, position):
                    recorded = [log.decode(self._registry, row) for row in stored]
                    for name in names:
                        self._fold(connection, name, recorded, held[name].dead)
                    log.advance(connection, names, stored[-1][0])
        except Exception as error:  # projections may raise anything; only faults of the event are set aside
            if not log.is_event_fault(error):
                raise
            self._log.warning("a batch failed, taking it event by event", after=position, error=repr(error))
            for name in names:
                self._fold_singly(connection, name, position, stored)

    def _fold(self, connection: Connection, name: str, recorded: Sequence[RecordedEvent], dead: frozenset[str]) -> None:
        projection, rows = self._projections[name], LiveRows(connection)
        taken = [r for r in recorded if r.stream not in dead]
        rows.prefetch(touched for r in taken for touched in projection.touches(r))
        for r in taken:
            projection.project(r, rows)
        rows.flush()
        for r in recorded:
            if r.stream in dead:
                self._set_aside(connection, name, r.position, r.stream, log.EARLIER_SET_ASIDE)

    def _fold_singly(self, connection: Connection, name: str, position: int, stored: list[StoredRow]) -> None:
        for row in stored:
            with connection.transaction():
                held = log.lock_projections(connection, [name], [row[1]])
                if not _is_unmoved(held, position):
                    return
                self._fold_or_set_aside(connection, name, row, held[name].dead)
                position = row[0]
                log.advance(connection, [name], position)

    def _fold_or_set_aside(self, connection: Connection, name: str, row: StoredRow, dead: frozenset[str]) -> None:
        if row[1] in dead:
            self._set_aside(connection, name, row[0], row[1], log.EARLIER_SET_ASIDE)
            return
        try:
            with connection.transaction():
                self._fold(connection, name, [log.decode(self._registry, row)], dead)
        except Exception as error:  # projections may raise anything; only faults of the event are set aside
            if not log.is_event_fault(error):
                raise
            self._set_aside(connection, name, row[0], row[1], repr(error))

    def _set_aside(self, connection: Connection, name: str, position: int, stream: str, error: str) -> None:
        self._log.error("event set aside", projection=name, position=position, stream=stream, error=error)
        log.set_aside(connection, name, position, stream, error)


def _rest(connection: Connection, seconds: float) -> None:
    """Let events gather, so that a busy ledger is folded in few large batches; a waiting reader ends the rest.

    Appends send no notifications meanwhile, so the runner reads the ledger after it. An append that commits as the rest
    ends may send none either: its events are found with the next ones, or by the poll.
    """
    _set_notifications(connection, wanted=False)
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if any(notice.channel == "wanted" for notice in connection.notifies(timeout=left, stop_after=1)):
            break
    _set_notifications(connection, wanted=True)


def _set_notifications(connection: Connection, *, wanted: bool) -> None:
    """Switch the notifications of appends on or off, for all processes."""
    connection.execute(_NOTICES, (int(wanted),), prepare=True)


def _is_unmoved(held: Mapping[str, log.LockedProjection], position: int) -> bool:
    """Return whether no position has changed. A rebuild may have moved one: then the next step sees it."""
    return all(each.position == position for each in held.values())

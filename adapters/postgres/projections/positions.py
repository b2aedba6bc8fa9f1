"""The positions of projections, and waiting for them by PostgreSQL notifications, without polling."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, DefaultSelector
from threading import Event as Flag
from threading import Lock, Thread

import orjson
import psycopg
import structlog

from adapters.postgres.ledger.pool import Connection, Database, connect
from adapters.postgres.ledger.prepared import Statement, integer, text
from domain.errors import Unavailable
from domain.health.ports import ProjectionHealth

MAX_WAIT_S = 1.0
_PAUSE_S = 0.2
_MAX_COUNTED = 100_000

_HEAD_AND_POSITION = Statement(
    b"head_and_position",
    b"""
    SELECT coalesce((SELECT max(notification_id) FROM ledger_events), 0),
           coalesce((SELECT position FROM projection_positions WHERE projection = $1), 0)
    """,
)
_WANTED = Statement(b"projection_wanted", b"SELECT pg_notify('wanted', '')")
_STATES = Statement(
    b"projection_states",
    b"""
    SELECT projection,
           (SELECT count(*) FROM (SELECT FROM ledger_events WHERE notification_id > position LIMIT %d) AS behind),
           (SELECT count(*) FROM projection_dead_letters AS d WHERE d.projection = p.projection)
    FROM projection_positions AS p ORDER BY projection
    """
    % _MAX_COUNTED,
)
_POSITIONS = "SELECT projection, position FROM projection_positions"


def head_and_position(database: Database, projection: str) -> tuple[int, int]:
    """Return the ledger's last position, and a projection's position in it.

    Raises:
        domain.errors.Unavailable: the database cannot be reached.
    """
    result = database.execute(_HEAD_AND_POSITION, (projection.encode(),))
    return integer(result.get_value(0, 0)), integer(result.get_value(0, 1))


@dataclass(slots=True, eq=False)
class _Waiter:
    """A waiter for the position `head`, unknown at first; `position` is the newest notified meanwhile."""

    loop: asyncio.AbstractEventLoop
    woken: asyncio.Future[None]
    head: int | None = None
    position: int = 0

    def notify(self, position: int) -> None:
        self.position = max(self.position, position)
        if self.head is not None and self.position >= self.head:
            with suppress(RuntimeError):  # its event loop was closed meanwhile
                self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        if not self.woken.done():
            self.woken.set_result(None)


class LivePositions:
    """Waits for projections on one LISTEN connection per process, which is reopened when it is lost."""

    def __init__(self, dsn: str, database: Database) -> None:
        self._dsn = dsn
        self._database = database
        self._waiters: dict[str, set[_Waiter]] = {}
        self._lock = Lock()
        self._stop = Flag()
        self._waker: socket.socket | None = None
        self._thread: Thread | None = None
        self._log = structlog.get_logger("positions")

    def start(self) -> None:
        """Start listening in a thread. Waits work before the connection is open."""
        wakeup, self._waker = socket.socketpair()
        self._thread = Thread(target=self._listen, args=(wakeup,), name="positions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Pending waits time out."""
        self._stop.set()
        if self._waker is not None and self._thread is not None:
            self._waker.close()
            self._thread.join()

    async def wait(self, projection: str) -> bool:
        """Wait until the projection has all events recorded so far, 1 s at most. False if it has not by then.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        loop = asyncio.get_running_loop()
        waiter = _Waiter(loop, loop.create_future())
        with self._lock:  # before the query, so that no notification is missed between query and wait
            self._waiters.setdefault(projection, set()).add(waiter)
        try:
            async with asyncio.timeout(MAX_WAIT_S):
                head, position = await asyncio.to_thread(self._read_position, projection)
                with self._lock:
                    waiter.head = head
                    if max(position, waiter.position) >= head:
                        return True
                await asyncio.to_thread(self._database.execute, _WANTED, ())
                await waiter.woken
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiters[projection].discard(waiter)
        return True

    async def states(self) -> Sequence[ProjectionHealth]:
        """Return each projection's lag (counted up to 100,000 events) and its dead letters, by name.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        return await asyncio.to_thread(self._read_states)

    def _read_position(self, projection: str) -> tuple[int, int]:
        return head_and_position(self._database, projection)

    def _read_states(self) -> list[ProjectionHealth]:
        result = self._database.execute(_STATES, ())
        value = result.get_value
        return [
            ProjectionHealth(text(value(row, 0)), integer(value(row, 1)), integer(value(row, 2)))
            for row in range(result.ntuples)
        ]

    def _listen(self, wakeup: socket.socket) -> None:
        with wakeup:
            while not self._stop.is_set():
                try:
                    with connect(self._dsn) as connection:
                        self._follow(connection, wakeup)
                except (Unavailable, psycopg.Error) as error:
                    self._log.warning("cannot listen for projections", error=str(error), retry_in_s=_PAUSE_S)
                    self._stop.wait(_PAUSE_S)

    def _follow(self, connection: Connection, wakeup: socket.socket) -> None:
        connection.execute("LISTEN projected")
        self._notify_waiters(
            dict(connection.execute(_POSITIONS).fetchall())
        )  # notifications missed while not listening
        with DefaultSelector() as selector:
            selector.register(connection.fileno(), EVENT_READ)
            selector.register(wakeup, EVENT_READ)
            while not self._stop.is_set():
                for notice in connection.notifies(timeout=0):
                    self._notify_waiters(orjson.loads(notice.payload))
                selector.select()

    def _notify_waiters(self, positions: Mapping[str, int]) -> None:
        with self._lock:
            for projection, position in positions.items():
                for waiter in self._waiters.get(projection, ()):
                    waiter.notify(position)

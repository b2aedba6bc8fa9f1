"""Where the projections stand, told by notices instead of polling."""

import asyncio
from collections.abc import Sequence
from threading import Event as Flag
from threading import Lock, Thread

import orjson
import psycopg
import structlog

from adapters.postgres.pool import Database, connect
from domain.errors import Unavailable
from domain.health.ports import ProjectionHealth

PATIENCE_S = 1.0
"""How long a read waits for its view, in seconds."""
_POLL_S = 0.5
_HEAD = "SELECT coalesce((SELECT max(notification_id) FROM ledger_events), 0)"
_STANDS = f"{_HEAD}, coalesce((SELECT position FROM projection_positions WHERE projection = %s), 0)"  # noqa: S608  (constants)
_STATES = f"""
    SELECT projection, (SELECT count(*) FROM ledger_events WHERE notification_id > p.position),
        (SELECT count(*) FROM projection_dead_letters AS d WHERE d.projection = p.projection)
    FROM projection_positions AS p ORDER BY projection
"""  # noqa: F541  (constants)


class LivePositions:
    """Waits for projections. One thread per process listens for their notices."""

    def __init__(self, dsn: str, database: Database) -> None:
        self._dsn = dsn
        self._database = database
        self._lock = Lock()
        self._stop = Flag()
        self._thread: Thread | None = None
        self._stands: dict[str, int] = {}
        self._waiting: set[tuple[str, int, asyncio.Future[None]]] = set()
        self._log = structlog.get_logger("positions")

    def start(self) -> None:
        """Begin to listen."""
        self._thread = Thread(target=self._listen, name="positions", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()
        if self._thread:
            self._thread.join()

    async def wait(self, projection: str) -> bool:
        """Wait, 1 s at most, until the projection has seen all that was recorded before. False if it has not."""
        head, stands = await asyncio.to_thread(self._ask, projection)
        if stands >= head:
            return True
        moved = asyncio.get_running_loop().create_future()
        waiter = (projection, head, moved)
        with self._lock:
            if self._stands.get(projection, 0) >= head:
                return True
            self._waiting.add(waiter)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await moved
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.discard(waiter)
        return True

    async def states(self) -> Sequence[ProjectionHealth]:
        """How far each projection is behind, in events, and what it had to set aside."""
        return await asyncio.to_thread(self._ask_states)

    def _ask(self, projection: str) -> tuple[int, int]:
        with self._database.connection() as connection:
            row = connection.execute(_STANDS.encode(), (projection,), prepare=True).fetchone()
        return (row[0], row[1]) if row else (0, 0)

    def _ask_states(self) -> list[ProjectionHealth]:
        with self._database.connection() as connection:
            return [ProjectionHealth(*row) for row in connection.execute(_STATES.encode()).fetchall()]

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._dsn) as connection:
                    connection.execute("LISTEN projected")
                    while not self._stop.is_set():
                        for notice in connection.notifies(timeout=_POLL_S):
                            self._moved(orjson.loads(notice.payload))
            except (Unavailable, psycopg.OperationalError) as error:
                self._log.warning("not told of projections", error=str(error))
                self._stop.wait(_POLL_S)

    def _moved(self, moved: dict[str, int]) -> None:
        with self._lock:
            self._stands |= moved
            for projection, head, future in self._waiting:
                if self._stands.get(projection, 0) >= head:
                    future.get_loop().call_soon_threadsafe(_done, future)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

"""The time of the last use of each key."""

import asyncio
from datetime import datetime, timedelta

import structlog

from adapters.postgres.ledger.pool import Database
from domain.errors import Unavailable

EXACT_TO = timedelta(minutes=1)
"""A use within a minute of the last one noted is not noted: at most one write a minute for each key."""

_MAX_NOTED = 10_000
_NOTE = """
    INSERT INTO api_key_uses AS noted (key_id, used_at) VALUES (%(id)s, %(at)s)
    ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at WHERE noted.used_at <= excluded.used_at - %(exact)s
"""


class KeyUses:
    """Notes uses of keys in the background. A note that fails is lost: the next use is noted again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, datetime] = {}
        self._writes: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("keys")

    def note(self, key_id: str, at: datetime) -> None:
        """Note a use, unless one within the last minute is noted."""
        last = self._noted.get(key_id)
        if last is not None and at - last < EXACT_TO:
            return
        if len(self._noted) >= _MAX_NOTED:
            self._noted.clear()  # the statement itself leaves out what is noted already
        self._noted[key_id] = at
        write = asyncio.create_task(self._write(key_id, at))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)

    async def finish(self) -> None:
        """Wait for the notes that are being written."""
        if self._writes:
            await asyncio.wait(self._writes)

    async def _write(self, key_id: str, at: datetime) -> None:
        try:
            await asyncio.to_thread(self._execute, key_id, at)
        except Unavailable as error:
            self._noted.pop(key_id, None)
            self._log.warning("the use of a key is not noted", key_id=key_id, reason=str(error))

    def _execute(self, key_id: str, at: datetime) -> None:
        with self._database.connection() as connection:
            connection.execute(_NOTE, {"id": key_id, "at": at, "exact": EXACT_TO})

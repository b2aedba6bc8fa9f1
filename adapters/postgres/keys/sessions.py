"""Sessions of browsers in PostgreSQL, cached by processes that hear of their end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from adapters.postgres.keys.changes import AccessChanges, FollowingCache
from adapters.postgres.ledger.pool import Database
from domain.errors import Unavailable
from domain.keys.ports import BrowserSession, StoredKey

MAX_CACHED = 10_000
MAX_LOOKUPS = 4
"""Lookups at a time: unknown cookies cannot take all connections of the process."""
MAX_WAITING = 256
"""Lookups that may wait for their turn; further ones are refused."""

_FIND = "SELECT caller_id, scopes, tenant_id, expires_at, key_hash FROM browser_sessions WHERE hash = %s"
_PUT = """
    INSERT INTO browser_sessions (hash, caller_id, scopes, tenant_id, expires_at, key_hash, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, now())
"""
_END = "DELETE FROM browser_sessions WHERE hash = %s"
_SWEEP = """
    DELETE FROM browser_sessions WHERE hash IN (
        SELECT hash FROM browser_sessions WHERE expires_at < now() LIMIT 200 FOR UPDATE SKIP LOCKED)
"""


def _stream(session_hash: bytes) -> str:
    return f"session:{session_hash.hex()}"


class PostgresSessions:
    """`domain.keys.ports.SessionStore` in the table `browser_sessions`. `is_active` tells which tenants there are."""

    def __init__(
        self,
        database: Database,
        changes: AccessChanges,
        is_active: Callable[[str], Awaitable[bool]],
        now: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._is_active = is_active
        self._now = now
        self._known: FollowingCache[BrowserSession] = FollowingCache(changes, MAX_CACHED)
        self._slots = asyncio.Semaphore(MAX_LOOKUPS)
        self._waiting = 0

    async def find(self, session_hash: bytes) -> BrowserSession | None:
        found = self._known.get(session_hash)
        if found is None and (found := await self._read(session_hash)) is None:
            return None
        if self._now() >= found.expires_at or not await self._is_active(found.caller.tenant_id):
            return None
        return found

    async def _read(self, session_hash: bytes) -> BrowserSession | None:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many unknown sessions at once", retry_after=1)
        self._waiting += 1
        try:
            async with self._slots:
                generation = self._known.generation()
                found = await asyncio.to_thread(self._find, session_hash)
        finally:
            self._waiting -= 1
        if found is not None:
            self._known.put(session_hash, found, (_stream(session_hash),), generation)
        return found

    async def put(self, session_hash: bytes, session: BrowserSession) -> None:
        await asyncio.to_thread(self._put, session_hash, session)

    async def end(self, session_hash: bytes) -> None:
        await asyncio.to_thread(self._end, session_hash)
        self._known.drop(_stream(session_hash))  # the other processes hear of it; this one need not wait for that

    def _find(self, session_hash: bytes) -> BrowserSession | None:
        with self._database.connection() as connection:
            row = connection.execute(_FIND, (session_hash,), prepare=True, binary=True).fetchone()
        if row is None:
            return None
        caller_id, scopes, tenant_id, expires_at, key_hash = row
        return BrowserSession(StoredKey(caller_id, frozenset(scopes), tenant_id), expires_at, key_hash)

    def _put(self, session_hash: bytes, session: BrowserSession) -> None:
        caller = session.caller
        row = (session_hash, caller.id, sorted(caller.scopes), caller.tenant_id, session.expires_at, session.key_hash)
        with self._database.connection() as connection:
            connection.execute(_SWEEP)
            connection.execute(_PUT, row)

    def _end(self, session_hash: bytes) -> None:
        with self._database.connection() as connection:
            connection.execute(_END, (session_hash,))

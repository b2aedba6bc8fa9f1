"""The check of keys that were created: from a cache that follows their changes, else from the ledger."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from adapters.postgres.keys.changes import AccessChanges, FollowingCache
from adapters.postgres.keys.uses import KeyUses
from domain.errors import Unavailable
from domain.keys import aggregate as keys
from domain.keys.commands import KeyInForce, KeyLookup
from domain.keys.policy import parse_key
from domain.keys.ports import StoredKey
from domain.tenant_ids import tenant_of
from domain.tenants import aggregate as tenants

MAX_CACHED = 10_000
"""Keys that a process remembers, at most, and as many texts that are no keys as a tenth of it."""
MAX_LOOKUPS = 4
"""Lookups at a time: unknown keys cannot take all connections of the process."""
MAX_WAITING = 256
"""Lookups that may wait for their turn; further ones are refused."""

_Read = Callable[[], KeyInForce | None]


class PostgresKeys:
    """`domain.keys.ports.KeyStore` on the ledger."""

    def __init__(self, lookup: KeyLookup, changes: AccessChanges, uses: KeyUses, now: Callable[[], datetime]) -> None:
        self._lookup = lookup
        self._uses = uses
        self._now = now
        self._known: FollowingCache[KeyInForce] = FollowingCache(changes, MAX_CACHED)
        self._unknown: FollowingCache[bool] = FollowingCache(changes, MAX_CACHED // 10)
        self._flights: dict[bytes, asyncio.Future[KeyInForce | None]] = {}
        self._slots = asyncio.Semaphore(MAX_LOOKUPS)

    async def find(self, key: str) -> StoredKey | None:
        parsed = parse_key(key)
        if parsed is None:
            return None
        found = await self._find(parsed.hash, parsed.id, lambda: self._lookup.by_text(parsed))
        if found is None:
            return None
        self._uses.note(found.id, self._now())
        return found

    async def find_by_id(self, key_id: str) -> StoredKey | None:
        return await self._find(key_id.encode(), key_id, lambda: self._lookup.by_id(key_id))

    async def _find(self, name: bytes, key_id: str, read: _Read) -> StoredKey | None:
        found = self._known.get(name)
        if found is None:
            if self._unknown.get(name):
                return None
            found = await self._read_once(name, key_id, read)
        return found.key if found is not None and found.validity.includes(self._now()) else None

    async def _read_once(self, name: bytes, key_id: str, read: _Read) -> KeyInForce | None:
        """Read from the ledger; whoever asks for the same meanwhile gets the same answer."""
        flight = self._flights.get(name)
        if flight is None:
            if len(self._flights) >= MAX_WAITING:
                raise Unavailable("too many unknown keys at once", retry_after=1)
            flight = self._flights[name] = asyncio.ensure_future(self._read(name, key_id, read))
            flight.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(flight)

    def _end(self, name: bytes, done: "asyncio.Future[KeyInForce | None]") -> None:
        del self._flights[name]
        if not done.cancelled():
            done.exception()  # it may be that nobody waits any more

    async def _read(self, name: bytes, key_id: str, read: _Read) -> KeyInForce | None:
        async with self._slots:
            generation, none = self._known.generation(), self._unknown.generation()
            found = await asyncio.to_thread(read)
        streams = (keys.stream(key_id), tenants.stream(tenant_of(key_id)))
        if found is None:
            self._unknown.put(name, True, streams, none)
        else:
            self._known.put(name, found, streams, generation)
        return found

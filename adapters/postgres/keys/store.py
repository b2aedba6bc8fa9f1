"""The check of keys that were created: from a cache that follows their changes, else from the ledger."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from adapters.postgres.keys.changes import AccessChanges, FollowingCache
from adapters.postgres.keys.uses import KeyUses
from domain.errors import Unavailable
from domain.keys import aggregate as keys
from domain.keys.commands import KeyInForce, KeyLookup
from domain.keys.policy import ParsedKey, parse_key
from domain.keys.ports import StoredKey
from domain.tenants import aggregate as tenants

MAX_CACHED = 10_000
"""Keys that a process remembers, at most, and as many texts that are no keys as a tenth of it."""
MAX_LOOKUPS = 4
"""Lookups at a time: unknown keys cannot take all connections of the process."""
MAX_WAITING = 256
"""Lookups that may wait for their turn; further ones are refused."""


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
        return await self._find(parsed) if parsed is not None else None

    async def find_by_hash(self, key_id: str, key_hash: bytes) -> StoredKey | None:
        return await self._find(ParsedKey(key_id, key_hash))

    async def _find(self, parsed: ParsedKey) -> StoredKey | None:
        found = self._known.get(parsed.hash)
        if found is None:
            if self._unknown.get(parsed.hash):
                return None
            found = await self._read_once(parsed)
        now = self._now()
        if found is None or not found.validity.includes(now):
            return None
        self._uses.note(found.key.id, now)
        return found.key

    async def _read_once(self, parsed: ParsedKey) -> KeyInForce | None:
        """Read from the ledger; whoever asks for the same meanwhile gets the same answer."""
        name = parsed.hash
        flight = self._flights.get(name)
        if flight is None:
            if len(self._flights) >= MAX_WAITING:
                raise Unavailable("too many unknown keys at once", retry_after=1)
            flight = self._flights[name] = asyncio.ensure_future(self._read(parsed))
            flight.add_done_callback(lambda done: self._end(name, done))
        return await asyncio.shield(flight)

    def _end(self, name: bytes, done: "asyncio.Future[KeyInForce | None]") -> None:
        del self._flights[name]
        if not done.cancelled():
            done.exception()  # it may be that nobody waits any more

    async def _read(self, parsed: ParsedKey) -> KeyInForce | None:
        async with self._slots:
            generation, none = self._known.generation(), self._unknown.generation()
            found = await asyncio.to_thread(self._lookup.by_text, parsed)
        streams = (keys.stream(parsed.id), tenants.stream(parsed.tenant_id))
        if found is None:
            self._unknown.put(parsed.hash, True, streams, none)
        else:
            self._known.put(parsed.hash, found, streams, generation)
        return found

"""The check of keys on a real ledger: what is cached, for how long, and what happens without the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_bytes, token_hex
from threading import Lock
from time import monotonic, sleep

import psycopg
import pytest

from adapters.memory.keys import JoinedKeys, MemoryKeys
from adapters.postgres.keys.changes import CURRENT_S, AccessChanges, FollowingCache
from adapters.postgres.keys.store import MAX_CACHED, MAX_LOOKUPS, MAX_WAITING, PostgresKeys
from adapters.postgres.keys.uses import KeyUses
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from api.http.api_keys import KeyAuthenticator
from api.http.caller import ANONYMOUS
from domain.errors import Unauthenticated, Unavailable
from domain.events import Cause
from domain.keys.commands import KeyChange, KeyCommands, KeyInForce, KeyLookup, WantedKey
from domain.keys.policy import ParsedKey, key_text
from domain.ledger import Ledger
from domain.registry import event_registry
from domain.tenants.commands import TenantCommands
from tests.outages import database_away
from tests.system import until

_LISTENERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE query IN ('LISTEN access', 'SELECT') AND datname = current_database()
"""


class CountingLookup(KeyLookup):
    """A lookup that knows how often it was asked, and how often at the same time; it takes `pause_s` longer."""

    def __init__(self, ledger: Ledger, tenants: TenantCommands) -> None:
        super().__init__(ledger, tenants)
        self.asked = self.at_once = self.most_at_once = 0
        self.pause_s = 0.0
        self._lock = Lock()

    def by_text(self, parsed: ParsedKey) -> KeyInForce | None:
        with self._lock:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        found = super().by_text(parsed)
        sleep(self.pause_s)
        with self._lock:
            self.at_once -= 1
        return found


@dataclass
class Keys:
    """A store on a ledger, and the commands."""

    store: PostgresKeys
    lookup: CountingLookup
    commands: KeyCommands
    changes: AccessChanges
    uses: KeyUses

    async def made(self, *scopes: str) -> KeyChange:
        wanted = WantedKey("n", scopes or ("read",))
        return await asyncio.to_thread(self.commands.create, wanted, wanted.scopes, cause(), key=None)

    async def revoke(self, key_id: str) -> None:
        await asyncio.to_thread(self.commands.revoke, key_id, cause(), check=lambda _: None)


def cause() -> Cause:
    return Cause("key_admin", "req_1", datetime.now(UTC), "default")


def unknown() -> str:
    return key_text(f"key_{token_hex(16)}", token_bytes(32))


@asynccontextmanager
async def keys_on(url: str, *, listening: bool = True) -> AsyncIterator[Keys]:
    database = Database(url)
    database.open()
    ledger = Ledger(LedgerRecorder(database), event_registry())
    tenants, changes, uses = TenantCommands(ledger), AccessChanges(url), KeyUses(database)
    lookup = CountingLookup(ledger, tenants)
    store = PostgresKeys(lookup, changes, uses, lambda: datetime.now(UTC))
    if listening:
        changes.start()
        await until(lambda: asyncio.sleep(0, changes.are_current()), bool)
    try:
        yield Keys(store, lookup, KeyCommands(ledger, PostgresContent(database), tenants), changes, uses)
    finally:
        changes.close()
        await uses.finish()
        await asyncio.to_thread(database.close)


async def test_a_known_key_is_read_once(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        key = await keys.made("read", "write")
        await asyncio.sleep(0.1)  # its own creation was heard
        for _ in range(50):
            found = await keys.store.find(key.text or "")
            assert found is not None
            assert (found.id, found.scopes) == (key.id, frozenset({"read", "write"}))
        assert keys.lookup.asked == 1


async def test_without_a_listener_nothing_cached_is_used(database_url: str) -> None:
    async with keys_on(database_url, listening=False) as keys:
        key = await keys.made()
        assert await keys.store.find(key.text or "") is not None
        await keys.revoke(key.id)
        assert await keys.store.find(key.text or "") is None
        assert keys.lookup.asked == 2


async def test_a_listener_that_loses_its_connection_misses_no_revocation(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        key = await keys.made()
        await asyncio.sleep(0.1)
        for _ in range(3):
            assert await keys.store.find(key.text or "") is not None
        with psycopg.connect(database_url, autocommit=True) as connection:
            assert connection.execute(_LISTENERS).fetchall() == [(True,)]
        await keys.revoke(key.id)
        began = monotonic()
        await until(lambda: keys.store.find(key.text or ""), lambda found: found is None)
        assert monotonic() - began < 1
        await until(lambda: asyncio.sleep(0, keys.changes.are_current()), bool)
        assert await keys.store.find(key.text or "") is None


async def test_with_the_database_away_a_cached_key_is_neither_right_nor_wrong(
    database_url: str, postgres_server: str
) -> None:
    async with keys_on(database_url) as keys:
        key = (await keys.made()).text or ""
        identity = KeyAuthenticator(JoinedKeys(MemoryKeys({}), keys.store), required=True)
        given = {b"x-api-key": key.encode()}
        assert (await identity.authenticate(given, open_path=False)).scopes == {"read"}
        with database_away(postgres_server, database_url):
            await asyncio.sleep(CURRENT_S)
            for text in (key, unknown()):
                with pytest.raises(Unavailable):
                    await identity.authenticate({b"x-api-key": text.encode()}, open_path=False)
            assert await identity.authenticate(given, open_path=True) is ANONYMOUS
        await until(lambda: asyncio.sleep(0, keys.changes.are_current()), bool)
        assert (await identity.authenticate(given, open_path=False)).scopes == {"read"}
        with pytest.raises(Unauthenticated):
            await identity.authenticate({b"x-api-key": unknown().encode()}, open_path=False)


async def test_unknown_keys_fill_no_memory_and_take_few_connections(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        for _ in range(12):
            texts = [unknown() for _ in range(100)]
            assert set(await asyncio.gather(*map(keys.store.find, texts))) == {None}
        assert keys.lookup.most_at_once <= MAX_LOOKUPS
        assert len(keys.store._unknown) <= MAX_CACHED // 10  # noqa: SLF001  (its size is what is tested)
        asked = keys.lookup.asked
        await asyncio.gather(*map(keys.store.find, texts))
        assert keys.lookup.asked == asked, "the newest are known to be unknown"
        for text in ("cvg_anything", "cvg_" + "a" * 9999):
            assert await keys.store.find(text) is None
        assert keys.lookup.asked == asked, "what has not the form of a key is not looked up"


async def test_a_flood_of_unknown_keys_is_refused_and_not_queued_for_ever(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        keys.lookup.pause_s = 0.02
        answers = await asyncio.gather(
            *(keys.store.find(unknown()) for _ in range(MAX_WAITING + 50)), return_exceptions=True
        )
        assert sum(isinstance(answer, Unavailable) for answer in answers) == 50
        assert await keys.store.find(unknown()) is None


async def test_many_requests_with_one_key_look_it_up_once(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        text = (await keys.made()).text or ""
        await asyncio.sleep(0.1)
        assert None not in await asyncio.gather(*(keys.store.find(text) for _ in range(100)))
        assert keys.lookup.asked == 1


async def test_a_key_that_was_unknown_is_found_once_it_is_created(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        key = await keys.made()
        wrong = (key.text or "")[:-1] + "A"
        assert await keys.store.find(wrong) is None or wrong == key.text
        assert await keys.store.find(key.text or "") is not None


async def test_a_use_is_written_once_a_minute(database_url: str) -> None:
    async with keys_on(database_url) as keys:
        key = await keys.made()
        for _ in range(20):
            await keys.store.find(key.text or "")
        await keys.uses.finish()
        with psycopg.connect(database_url) as connection:
            (first,) = connection.execute("SELECT key_id, used_at, xmin::text FROM api_key_uses").fetchall()
        keys.uses.note(key.id, datetime.now(UTC))
        other = KeyUses(Database(database_url))
        other._database.open()  # noqa: SLF001  (as another process has it)
        other.note(key.id, datetime.now(UTC))
        await other.finish()
        await asyncio.to_thread(other._database.close)  # noqa: SLF001
        with psycopg.connect(database_url) as connection:
            assert connection.execute("SELECT key_id, used_at, xmin::text FROM api_key_uses").fetchall() == [first]


class Current(AccessChanges):
    """Changes that are always current."""

    def are_current(self) -> bool:
        return True


def test_what_was_read_before_a_change_is_not_kept_after_it() -> None:
    cache: FollowingCache[str] = FollowingCache(Current(""), 10)
    generation = cache.generation()
    cache.drop("key:1")  # heard while the reader was under way
    cache.put(b"1", "stale", ("key:1",), generation)
    assert cache.get(b"1") is None
    cache.put(b"1", "new", ("key:1", "tenant:a"), cache.generation())
    assert cache.get(b"1") == "new"
    cache.drop("tenant:b")
    assert cache.get(b"1") == "new"
    cache.drop("tenant:a")
    assert cache.get(b"1") is None


def test_a_full_cache_gives_up_its_oldest() -> None:
    cache: FollowingCache[int] = FollowingCache(Current(""), 3)
    for number in range(5):
        cache.put(b"%d" % number, number, ("all", f"own:{number}"), cache.generation())
    assert [cache.get(b"%d" % number) for number in range(5)] == [None, None, 2, 3, 4]
    cache.drop("all")
    assert len(cache) == 0

"""The caches in Redis or Valkey, by prefix."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain.errors import Unavailable
from domain.runbooks.catalogue import CACHE_ROOT

_TIMEOUT_S = 5.0
_BATCH = 500


class RedisCaches:
    """`domain.runbooks.ports.CacheMaintenance`. Keys that are no caches are never touched."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    async def count(self, prefix: str) -> int:
        async with self._client() as client:
            return len([key async for key in _keys(client, prefix)])

    async def clear(self, prefix: str) -> int:
        """Remove the keys in batches, each freed by the server in the background."""
        removed, batch = 0, list[bytes]()
        async with self._client() as client:
            async for key in _keys(client, prefix):
                batch.append(key)
                if len(batch) == _BATCH:
                    removed += int(await client.unlink(*batch))
                    batch.clear()
            if batch:
                removed += int(await client.unlink(*batch))
        return removed

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Redis]:
        if self._url is None:
            raise Unavailable("there is no Valkey: REDIS_URL is not set")
        try:
            async with Redis.from_url(
                self._url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            ) as client:
                yield client
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise Unavailable("Valkey cannot be reached", retry_after=2) from error


def _keys(client: Redis, prefix: str) -> AsyncIterator[bytes]:
    if not prefix.startswith(CACHE_ROOT):
        raise ValueError(f"{prefix!r} is no prefix of caches")
    # a prefix holds no character that a pattern would take for more than itself (`CacheParameters`)
    return client.scan_iter(match=f"{prefix}*", count=_BATCH)

"""The state of Redis or Valkey."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.caches import RedisCaches
from domain.errors import Unavailable
from domain.governance.system import ValkeyState
from domain.runbooks.catalogue import CACHE_ROOT

_TIMEOUT_S = 2.0


class RedisServer:
    """`domain.governance.system.ValkeyInspection`."""

    def __init__(self, url: str | None) -> None:
        self._url = url

    async def state(self) -> ValkeyState:
        if self._url is None:
            raise Unavailable("there is no Valkey: REDIS_URL is not set")
        try:
            async with Redis.from_url(
                self._url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
            ) as client:
                info: Any = await client.info()
                keys = int(await client.dbsize())
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise Unavailable("Valkey cannot be reached", retry_after=2) from error
        return ValkeyState(
            version=str(info.get("valkey_version") or info["redis_version"]),
            used_memory_bytes=int(info["used_memory"]),
            clients=int(info["connected_clients"]),
            keys=keys,
            cached_keys=await RedisCaches(self._url).count(CACHE_ROOT),
        )

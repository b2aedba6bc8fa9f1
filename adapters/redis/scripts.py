"""A script in Redis or Valkey that several processes share state by."""

import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from domain.errors import Unavailable

_TIMEOUT_S = 1.0
_PAUSE_S = 1.0


class SharedScript:
    """Runs one script on one connection, which `close` ends; the next call opens another.

    After a failure the server is not asked for a second: waiting for it would hold up each call.
    """

    def __init__(self, url: str, source: str) -> None:
        self._url = url
        self._source = source
        self._client: Redis | None = None
        self._sha = ""
        self._away_until = 0.0

    async def run(self, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Return the script's answer.

        Raises:
            Unavailable: there is none within a second.
        """
        if time.monotonic() < self._away_until:
            raise Unavailable("Valkey could not be reached a moment ago")
        try:
            return await self._run(self._connect(), keys, args)
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._away_until = time.monotonic() + _PAUSE_S
            await self.close()
            raise Unavailable("Valkey cannot be reached") from error

    def _connect(self) -> Redis:
        if self._client is None:
            self._client = Redis.from_url(
                self._url,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
                max_connections=1,
            )
        return self._client

    async def _run(self, client: Redis, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        try:
            if self._sha:
                return await client.evalsha(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            pass
        self._sha = await client.script_load(self._source)
        return await client.evalsha(self._sha, len(keys), *keys, *args)

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

"""Token buckets in Redis or Valkey: one script, the server's clock, one integer per bucket."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Self, cast

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from domain.errors import Unavailable
from domain.governance.ports import RateLimitVerdict

# A bucket is stored as the moment when it will be full again (`full`, microseconds of the server's clock): taking a
# token moves that moment on by `cost`, and the moment may not lie further ahead than all tokens cost together. For
# whole costs, such as 600,000 microseconds at 100 in 60 s, every step is exact.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, cost = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(now, tonumber(redis.call('GET', KEYS[1]) or 0))
local taken = full + cost
local over = taken - now - limit * cost
if over > 0 then
  return {0, 0, math.ceil(full / 1000000), math.ceil(over / 1000000)}
end
redis.call('SET', KEYS[1], string.format('%.17g', taken), 'PX', math.ceil((taken - now) / 1000))
return {1, math.floor(-over / cost), math.ceil(taken / 1000000), 0}
"""

BUCKET_PREFIX = "convergio:rate:"
_TIMEOUT_S = 2.0
_TIMEOUT_UNKNOWN_S = 0.5
_TIMEOUT_AFTER_FAILURE_S = 0.1
_TIMEOUT_AT_START_S = 5.0
_SLICES = 10
"""Number of slices of a timeout, so that a stall of this process uses up one of them only, however long it is."""
_CONNECTIONS = 8


class RedisRateLimit:
    """A `RateLimiter` whose buckets all processes share.

    A server that answered last time gets two seconds: on a busy machine less is no sign of failure, and a local bucket
    is worse than a late shared one. An unknown server gets half a second, one that failed last time a tenth. A dead
    server is recognised at once by its closed connections.
    """

    def __init__(self, client: Redis, *, requests: int, seconds: int, prefix: str = BUCKET_PREFIX) -> None:
        self._client = client
        self._take = client.register_script(_TAKE)
        self._limit = requests
        self._cost = seconds * 1_000_000 / requests
        self._prefix = prefix
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._patience_s = _TIMEOUT_UNKNOWN_S
        self._failures = 0

    @classmethod
    def connect(cls, url: str, *, requests: int, seconds: int) -> Self:
        """Limit to `requests` in `seconds`. Connects with the first call; to be closed with `close`."""
        client = Redis.from_url(
            url,
            max_connections=_CONNECTIONS,
            socket_timeout=None,  # the client's own timeouts would blame the server for a stall of this process
            socket_connect_timeout=None,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(client, requests=requests, seconds=seconds)

    async def warm(self) -> None:
        """Open the connections and load the script before requests would wait for both.

        A process that starts under load would take its own slow start for the server's. The first request finds out
        about an unreachable server.
        """
        with suppress(RedisError, OSError):  # TimeoutError is an OSError
            async with asyncio.timeout(_TIMEOUT_AT_START_S):
                await asyncio.gather(*(self._client.script_load(_TAKE) for _ in range(_CONNECTIONS)))
            self._patience_s = _TIMEOUT_S

    async def close(self) -> None:
        await self._client.aclose()

    async def take(self, bucket: str) -> RateLimitVerdict:
        failures = self._failures
        async with self._turns:
            if self._failures != failures:  # a call before this one failed: waiting in turn for a dead server adds up
                raise Unavailable("the rate limiter's buckets could not be reached a moment ago")
            allowed, remaining, full_at, retry_after = await self._run_script(bucket)
        return RateLimitVerdict(bool(allowed), self._limit, remaining, full_at, retry_after)

    async def _run_script(self, bucket: str) -> list[int]:
        call = self._take(keys=[self._prefix + bucket], args=[self._limit, self._cost])
        reply = asyncio.ensure_future(cast("Awaitable[list[int]]", call))
        try:
            if not await self._arrives_in_time(reply):
                raise TimeoutError
            answer = reply.result()
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            self._failures += 1
            self._patience_s = _TIMEOUT_AFTER_FAILURE_S
            raise Unavailable("the rate limiter's buckets cannot be reached") from error
        finally:
            reply.cancel()
        self._patience_s = _TIMEOUT_S
        return answer

    async def _arrives_in_time(self, reply: asyncio.Future[list[int]]) -> bool:
        """Return whether the reply arrives in time.

        A single timer would not do: if this process was stalled until it expired, a reply in the socket needs some more
        rounds of the event loop before it is read.
        """
        for _ in range(_SLICES):
            done, _pending = await asyncio.wait({reply}, timeout=self._patience_s / _SLICES)
            if done:
                return True
        return False

"""Reads token buckets in Redis or Valkey without taking tokens."""

from math import ceil, floor

from redis.asyncio import Redis
from redis.exceptions import RedisError

from adapters.redis.rate_limit import BUCKET_PREFIX
from domain.errors import Unavailable
from domain.governance.ports import BucketUse, RateLimitVerdict

_TIMEOUT_S = 1.0
_MOST_SCANNED = 10_000
_BATCH = 500


class RedisRateLimitStatus:
    """`domain.governance.ports.RateLimitReads` on the buckets of `RedisRateLimit`."""

    def __init__(self, url: str, *, requests: int, seconds: int) -> None:
        self._url = url
        self._limit = requests
        self._cost = seconds * 1_000_000 / requests

    async def peek(self, bucket: str) -> RateLimitVerdict:
        try:
            async with self._client() as client:
                now = await _now(client)
                full = max(now, float(await client.get(BUCKET_PREFIX + bucket) or 0))
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise _away() from error
        left = floor(self._limit - (full - now) / self._cost + 1e-9)
        wait = max(0, ceil((full + self._cost - now - self._limit * self._cost) / 1_000_000))
        return RateLimitVerdict(left > 0, self._limit, max(0, left), ceil(full / 1_000_000), wait if left <= 0 else 0)

    async def busiest(self, limit: int) -> list[BucketUse]:
        found: list[BucketUse] = []
        try:
            async with self._client() as client:
                now, keys = await _now(client), list[bytes]()
                async for key in client.scan_iter(match=f"{BUCKET_PREFIX}*", count=_BATCH):
                    keys.append(key)
                    if len(keys) == _MOST_SCANNED:
                        break
                for at in range(0, len(keys), _BATCH):
                    names = keys[at : at + _BATCH]
                    found += self._uses(names, await client.mget(names), now)
        except (RedisError, OSError) as error:
            raise _away() from error
        return sorted(found, key=lambda use: (-use.used, use.bucket))[:limit]

    def _uses(self, keys: list[bytes], values: list[bytes | str | None], now: float) -> list[BucketUse]:
        return [
            BucketUse(
                key.decode(errors="replace").removeprefix(BUCKET_PREFIX),
                ceil((float(value) - now) / self._cost - 1e-9),
                ceil(float(value) / 1_000_000),
            )
            for key, value in zip(keys, values, strict=True)
            if value is not None and float(value) > now
        ]

    def _client(self) -> Redis:
        return Redis.from_url(self._url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


async def _now(client: Redis) -> float:
    """Return the server's clock in microseconds, which the buckets go by."""
    seconds, micros = await client.time()
    return float(seconds) * 1_000_000 + float(micros)


def _away() -> Unavailable:
    return Unavailable("the rate limiter's buckets cannot be reached", retry_after=1)

"""Token buckets of one process, with the rules of those in Redis."""

import time
from collections.abc import Callable
from math import ceil, floor

from domain.governance.ports import RateLimitVerdict

_MAX_BUCKETS = 10_000
"""Number of buckets from which on full ones are discarded."""


class MemoryRateLimit:
    """A `FallbackLimiter` for a single process. `clock` returns Unix seconds."""

    def __init__(self, *, requests: int, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._limit = requests
        self._cost = seconds / requests
        self._clock = clock
        self._full: dict[str, float] = {}
        self._most = _MAX_BUCKETS

    async def take(self, bucket: str) -> RateLimitVerdict:
        now = self._clock()
        full = max(now, self._full.get(bucket, 0.0))
        over = full + self._cost - now - self._limit * self._cost
        if over > 1e-6:  # noqa: PLR2004  (a microsecond: rounding errors of sums of fractions)
            return RateLimitVerdict(
                allowed=False, limit=self._limit, remaining=0, full_at=ceil(full), retry_after=ceil(over)
            )
        self._store(bucket, full + self._cost, now)
        return RateLimitVerdict(True, self._limit, floor(1e-6 - over / self._cost), ceil(full + self._cost))

    def follow(self, bucket: str, verdict: RateLimitVerdict) -> None:
        now = self._clock()
        self._store(bucket, now + (self._limit - verdict.remaining) * self._cost, now)

    def _store(self, bucket: str, full: float, now: float) -> None:
        if len(self._full) >= self._most:
            self._full = {each: until for each, until in self._full.items() if until > now}
            self._most = max(_MAX_BUCKETS, 2 * len(self._full))
        self._full[bucket] = full

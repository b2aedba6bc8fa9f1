"""Token buckets of one process, by the same rule as those in Redis."""

import time
from collections.abc import Callable
from math import ceil, floor

from domain.governance.ports import Verdict


class MemoryRateLimit:
    """A `RateLimiter` for a single process. `clock` gives Unix seconds."""

    def __init__(self, *, requests: int, seconds: int, clock: Callable[[], float] = time.time) -> None:
        self._limit = requests
        self._cost = seconds / requests
        self._clock = clock
        self._full: dict[str, float] = {}

    async def take(self, bucket: str) -> Verdict:
        now = self._clock()
        full = max(now, self._full.get(bucket, 0.0))
        over = full + self._cost - now - self._limit * self._cost
        if over > 1e-6:  # noqa: PLR2004  (a microsecond: what is left of adding fractions of seconds)
            return Verdict(allowed=False, limit=self._limit, remaining=0, full_at=ceil(full), retry_after=ceil(over))
        self._full[bucket] = full + self._cost
        return Verdict(True, self._limit, floor(1e-6 - over / self._cost), ceil(full + self._cost))

"""The memory of a worker: the number of cached workflow executions, and the collection of evicted ones."""

import asyncio
import gc
import time
from collections.abc import Callable

import structlog

RUN_KIB = 104
"""Memory of a cached execution, in KiB: measured over 1,000 chats of two turns each; a large graph needs more."""
_LEAST_RUNS = 50
_SHARE = 4
_LOOK_EVERY_S = 1.0
_LATEST_S = 60.0


def cached_runs(budget_mb: int) -> int:
    """Return the number of cached executions that fit a budget in MiB."""
    return max(_LEAST_RUNS, budget_mb * 1024 // RUN_KIB)


class EvictionCollector:
    """Collects the oldest generation once enough executions were created, or a minute after one was.

    An evicted execution is an old reference cycle: the collector's thresholds, which count young objects, hardly ever
    reach it. The pause is that of a full collection of what is not frozen, so it is bounded by the cache, and comes
    once for each quarter of the cache that is replaced.
    """

    def __init__(self, cached: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._due = max(1, cached // _SHARE)
        self._clock = clock
        self._made = 0
        self._at = clock()
        self._log = structlog.get_logger("memory")

    def count_run(self) -> None:
        """Count an execution put into the cache, which may have evicted another. Thread-safe."""
        self._made += 1

    def collect_if_due(self) -> bool:
        """Collect if it is due. Returns True if it was."""
        waited = self._clock() - self._at
        if self._made < self._due and not (self._made and waited >= _LATEST_S):
            return False
        self._made, started = 0, time.perf_counter()
        found = gc.collect()
        self._at = self._clock()
        self._log.debug("collected", objects=found, pause_ms=round((time.perf_counter() - started) * 1000, 1))
        return True

    async def keep_collecting(self) -> None:
        """Check every second, for ever."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            self.collect_if_due()

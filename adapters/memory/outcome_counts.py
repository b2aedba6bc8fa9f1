"""Outcomes of the model calls of one process."""

import time
from collections import deque
from collections.abc import Callable

from domain.providers.circuit import Outcomes

_MOST_CIRCUITS = 1_000


class MemoryOutcomeCounts:
    """Implements `domain.providers.ports.OutcomeCounts` for a single process. `clock` returns seconds."""

    def __init__(self, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._window_s = window_s
        self._clock = clock
        self._seen: dict[str, deque[tuple[float, int, int]]] = {}

    async def add(self, circuit: str, *, succeeded: int, failed: int) -> Outcomes:
        """Add outcomes; see the port."""
        now = self._clock()
        if len(self._seen) >= _MOST_CIRCUITS:  # agents name models as they like
            self._seen.clear()
        seen = self._seen.setdefault(circuit, deque())
        seen.append((now, succeeded, failed))
        while seen[0][0] <= now - self._window_s:
            seen.popleft()
        failures = sum(each[2] for each in seen)
        return Outcomes(failures + sum(each[1] for each in seen), failures)

    async def clear(self, circuit: str) -> None:
        """Forget the outcomes of a circuit; see the port."""
        self._seen.pop(circuit, None)

"""Slots for the calls of one process to providers, with the rules of those in Redis."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from domain.providers.ports import SlotEnd, SlotRequest
from domain.providers.table import ProviderLimits

_MINUTE_S = 60.0
_MOST_TENANTS = 10_000


@dataclass(slots=True)
class _Queue:
    """The state of one provider; see `adapters.redis.provider_slots` for the rule of tags."""

    clock: float = 0.0
    tags: dict[str, float] = field(default_factory=dict)
    places: dict[str, float] = field(default_factory=dict)
    taken: deque[tuple[float, int, int]] = field(default_factory=deque)

    def place(self, waiting: Sequence[SlotRequest]) -> list[SlotRequest]:
        """Return the waiting calls in the order in which they are served."""
        if len(self.tags) > _MOST_TENANTS:
            self.tags = {tenant: tag for tenant, tag in self.tags.items() if tag > self.clock}
        for each in waiting:
            if each.id not in self.places:
                tag = max(self.clock, self.tags.get(each.tenant_id, 0.0)) + 1 / each.weight
                self.tags[each.tenant_id] = self.places[each.id] = tag
        self.places = {each.id: self.places[each.id] for each in waiting}
        return sorted(waiting, key=lambda each: self.places[each.id])

    def used(self, now: float) -> tuple[int, int]:
        """Return the requests and tokens of the last minute."""
        while self.taken and self.taken[0][0] <= now - _MINUTE_S:
            self.taken.popleft()
        return sum(each[1] for each in self.taken), sum(each[2] for each in self.taken)


class MemoryProviderSlots:
    """Implements `domain.providers.ports.ProviderSlots` for a single process. `clock` returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[str, _Queue] = {}

    async def poll(
        self,
        provider: str,
        limits: ProviderLimits,
        waiting: Sequence[SlotRequest],
        held: Collection[str],
        ended: Sequence[SlotEnd],
    ) -> frozenset[str]:
        """Return the ids of the waiting calls that have a slot now; see the port."""
        queue, now = self._queues.setdefault(provider, _Queue()), self._clock()
        queue.taken.extend((now, 0, end.tokens) for end in ended if end.tokens)
        in_line = queue.place(waiting)
        free = len(waiting) if limits.concurrency is None else limits.concurrency - len(held)
        return frozenset(_grant(queue, in_line[: max(0, free)], limits, now))

    async def close(self) -> None:
        """Nothing is open; see the port."""


def _grant(queue: _Queue, in_line: Sequence[SlotRequest], limits: ProviderLimits, now: float) -> Iterator[str]:
    requests, tokens = queue.used(now)
    for each in in_line:
        if limits.requests_per_minute is not None and requests >= limits.requests_per_minute:
            return
        # a call larger than a whole minute's tokens passes when there was none before it
        if limits.tokens_per_minute is not None and tokens > 0 and tokens + each.tokens > limits.tokens_per_minute:
            return
        requests, tokens = requests + 1, tokens + each.tokens
        queue.taken.append((now, 1, each.tokens))
        queue.clock = max(queue.clock, queue.places.pop(each.id))
        yield each.id

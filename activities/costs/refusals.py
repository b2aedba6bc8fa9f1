"""What models have refused: tools and schemas apart, and believed for a while only."""

import time
from collections.abc import Callable, Iterator

from domain.chat.policy import BELIEVED_S
from domain.chat.ports import Refusable

_MOST = 1_000


class Refusals:
    """Remembers, per model, what it does not take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, Refusable], float] = {}

    def note(self, model: str, refused: Refusable) -> None:
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[model, refused] = self._clock() + BELIEVED_S

    def holds(self, model: str, refused: Refusable) -> bool:
        """Whether the model refused it, not too long ago."""
        return self._clock() < self._until.get((model, refused), 0.0)

    def of(self, model: str) -> Iterator[Refusable]:
        """All that it refused."""
        yield from [refused for named, refused in list(self._until) if named == model and self.holds(model, refused)]

"""Remembers the tools and schemas that models have refused, for a limited time."""

import time
from collections.abc import Callable, Iterator

from domain.chat.model_port import Refusable
from domain.chat.policy import REFUSAL_TTL_S

_MOST = 1_000


class Refusals:
    """The parts of a request that each model does not take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, Refusable], float] = {}

    def note(self, model: str, refused: Refusable) -> None:
        if len(self._until) >= _MOST:
            self._until.clear()
        self._until[model, refused] = self._clock() + REFUSAL_TTL_S

    def has_refused(self, model: str, refused: Refusable) -> bool:
        """Return True if the model refused this recently."""
        return self._clock() < self._until.get((model, refused), 0.0)

    def of(self, model: str) -> Iterator[Refusable]:
        """Yield all parts that the model refused recently."""
        yield from [
            refused for named, refused in list(self._until) if named == model and self.has_refused(model, refused)
        ]

"""Heartbeats from a timer, so that a silent model is not taken for a dead worker."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity

EVERY_S = 1.0


class _Heart:
    """Beats every second until it is stopped. A timer costs a tenth of a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(EVERY_S, self._beat)

    def _beat(self) -> None:
        activity.heartbeat()
        self._timer = self._loop.call_later(EVERY_S, self._beat)

    def stop(self) -> None:
        self._timer.cancel()


@contextmanager
def beating() -> Iterator[None]:
    """Heartbeat every second while the body runs, whatever it waits for."""
    heart = _Heart()
    try:
        yield
    finally:
        heart.stop()

"""Heartbeats from a timer, so that a slow model is not mistaken for a dead worker."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from temporalio import activity

EVERY_S = 1.0


class _Heart:
    """Sends heartbeats until it is stopped. A timer costs a tenth of an asyncio task."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(every_s, self._beat)

    def _beat(self) -> None:
        activity.heartbeat()
        # rescheduled by itself: it runs while the activity awaits, and stops with the event loop
        self._timer = self._loop.call_later(self._every_s, self._beat)

    def stop(self) -> None:
        self._timer.cancel()


@contextmanager
def send_heartbeats(every_s: float = EVERY_S) -> Iterator[None]:
    """Send heartbeats while the body runs, whatever it waits for. Each is a request to Temporal."""
    heart = _Heart(every_s)
    try:
        yield
    finally:
        heart.stop()

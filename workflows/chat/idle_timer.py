"""The timer that ends the run of a chat after a day without a message."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.chat.policy import IDLE_TIMEOUT


class IdleTimer:
    """Watches from `start` on whether messages come; `is_busy` says whether one waits to be answered."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self.is_over = False
        self._is_busy = is_busy
        self._last_at = workflow.now()

    def start(self, after: timedelta = IDLE_TIMEOUT) -> None:
        asyncio.get_running_loop().call_later(after.total_seconds(), self._check)

    def touch(self) -> None:
        """Begin the idle time anew."""
        self._last_at = workflow.now()

    def _check(self) -> None:
        quiet = workflow.now() - self._last_at
        if quiet < IDLE_TIMEOUT or self._is_busy():
            self.start(max(IDLE_TIMEOUT - quiet, timedelta(minutes=1)))
        else:
            self.is_over = True

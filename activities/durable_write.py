"""Writes that outlast outages of the database and cancellations."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from domain.errors import Unavailable

T = TypeVar("T")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


async def write_durably(write: Callable[[], T], log: Any) -> T:
    """Run `write` in a thread, retry while the database is unavailable, and complete despite cancellation.

    Raises:
        asyncio.CancelledError: it was cancelled meanwhile, however often; the write is complete.
        any error of `write` but `Unavailable`.
    """
    # a task of its own: cancelling the caller does not cancel the write
    task, cancelled = asyncio.create_task(_persist(write, log)), False
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:  # kept for the end
            cancelled = True
    written = task.result()
    if cancelled:
        raise asyncio.CancelledError
    return written


async def _persist(write: Callable[[], T], log: Any) -> T:
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await asyncio.to_thread(write)
        except Unavailable as error:
            log.warning("waiting to write", error=error.message, retry_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

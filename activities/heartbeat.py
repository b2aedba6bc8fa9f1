"""Heartbeats from a timer, so that a silent model is not taken for a dead worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from temporalio import activity

EVERY_S = 1.0


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeat every second while the body runs, whatever it waits for."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

"""Work that runs to completion even if its waiter is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio import workflow

T = TypeVar("T")


async def finish_shielded(work: Coroutine[None, None, T]) -> T:
    """Await work to its end even when cancelled meanwhile, so that what it created can be withdrawn after."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await workflow.wait([task])
        raise

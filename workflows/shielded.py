"""Work that is brought to its end, whatever happens to who waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio import workflow

T = TypeVar("T")


async def finished(work: Coroutine[None, None, T]) -> T:
    """Bring it to its end even when this is cancelled in between, so that what was begun is there to be withdrawn."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await workflow.wait([task])
        raise

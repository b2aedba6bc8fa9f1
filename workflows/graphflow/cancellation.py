"""Cancellation of tasks: waiting for their clean-up, time limits, and work that is completed all the same."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

T = TypeVar("T")


async def cancel_and_wait(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    if tasks:
        await workflow.wait([*tasks])
    for task in tasks:
        if not task.cancelled():
            task.exception()  # retrieved, as asyncio would log it as never retrieved otherwise


async def run_within(work: Coroutine[Any, Any, T], seconds: float | None) -> T | None:
    """Await a coroutine for so many seconds; None if it takes longer: then it was cancelled and has cleaned up.

    Raises:
        asyncio.CancelledError: the caller was cancelled; so was the coroutine.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await workflow.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        await cancel_and_wait([task])
        raise
    if done:
        return task.result()
    await cancel_and_wait([task])
    return None


async def run_to_completion(step: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to completion even if the workflow is cancelled meanwhile."""
    task = asyncio.create_task(step)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


def is_cancellation(error: BaseException) -> bool:
    """Return whether the error is the way a cancelled task ends."""
    return isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error)


def is_being_stopped() -> bool:
    """Return whether this task was cancelled, so that its children were cancelled with it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0

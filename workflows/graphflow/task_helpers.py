"""Tasks of a run that are brought to their end whatever happens."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

T = TypeVar("T")


async def stopped(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel them, and wait until they have put their things in order."""
    for task in tasks:
        task.cancel()
    if tasks:
        await workflow.wait([*tasks])
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it is looked at, so nobody is told that nobody did


async def within(work: Coroutine[Any, Any, T], seconds: float | None) -> T | None:
    """What comes of it; None if it takes longer: then it was cancelled, and has put its things in order.

    Raises:
        asyncio.CancelledError: the waiting was cancelled; so was the work.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await workflow.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        await stopped([task])
        raise
    if done:
        return task.result()
    await stopped([task])
    return None


async def surely(step: Coroutine[Any, Any, T]) -> T:
    """Finish what has been begun though the run is cancelled meanwhile."""
    task = asyncio.create_task(step)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise


def is_cancellation(error: BaseException) -> bool:
    """Whether it is how a cancelled task ends."""
    return isinstance(error, asyncio.CancelledError) or is_cancelled_exception(error)


def is_being_stopped() -> bool:
    """Whether this task was cancelled, so that what it waits for was cancelled with it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def why(error: FailureError) -> tuple[str, str]:
    """The code and sentence of a failed activity or child."""
    cause = error.cause or error
    return getattr(cause, "type", None) or "INTERNAL_ERROR", getattr(cause, "message", None) or str(cause)

"""Failures of the client of Redis or Valkey, told apart from cancellations."""

import asyncio

from domain.errors import Unavailable


def raise_if_cancelled() -> None:
    """Go on with a cancellation that the client has turned into an error of its own: its task has to end.

    Raises:
        asyncio.CancelledError: this task was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def unavailable(message: str) -> Unavailable:
    """Return the refusal for an error of the client.

    Raises:
        asyncio.CancelledError: the error is a cancellation.
    """
    raise_if_cancelled()
    return Unavailable(message, retry_after=1)

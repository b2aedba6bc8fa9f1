"""Activities that call a model: where they are made, and where they wait when their worker has no place free."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import SLOTS_FULL
    from workflows.timeouts import BOOKS_TIMEOUT, HEARTBEAT_TIMEOUT

P = TypeVar("P")
T = TypeVar("T")


async def call_model(
    method: Callable[[Any, P], Awaitable[T]], asked: P, queue: str, call_timeout: timedelta, **options: Any
) -> T:
    """Have a call made from `queue`, or, if that is full, from the one that it is sent to.

    One attempt is the call, and time to write the books while the database is away; one that was sent elsewhere may
    have to wait for a call before it as well.
    """
    attempt = call_timeout + BOOKS_TIMEOUT
    call = partial(
        workflow.execute_activity_method,
        method,
        _movable(asked),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        **options,
    )
    try:
        made: T = await call(task_queue=queue, start_to_close_timeout=attempt)
    except ActivityError as error:
        if (waiting := _waiting_queue(error)) is None:
            raise
        made = await call(task_queue=waiting, start_to_close_timeout=attempt + call_timeout)
    return made


def _movable(asked: P) -> P:
    """The same, from somebody who follows when the call is sent elsewhere."""
    movable: Any = asked
    moved: P = replace(movable, may_move=True)
    return moved


def _waiting_queue(error: ActivityError) -> str | None:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == SLOTS_FULL and cause.details:
        return str(cause.details[0])
    return None

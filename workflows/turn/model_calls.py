"""Activities that call a model, and their move to another worker's queue when all slots of a worker are taken."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import SLOTS_FULL
    from workflows.timeouts import HEARTBEAT_TIMEOUT, SETTLEMENT_TIMEOUT

P = TypeVar("P")
T = TypeVar("T")


async def call_model(
    method: Callable[[Any, P], Awaitable[T]], asked: P, queue: str, call_timeout: timedelta, **options: Any
) -> T:
    """Execute a model call on `queue`, or on the queue that a full worker names instead.

    One attempt lasts for the call plus the time to settle its cost while the database is away; a moved one may have to
    wait for another call as well.
    """
    attempt = call_timeout + SETTLEMENT_TIMEOUT
    call = partial(
        workflow.execute_activity_method,
        method,
        _allow_move(asked),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        **options,
    )
    try:
        made: T = await call(task_queue=queue, start_to_close_timeout=attempt)
    except ActivityError as error:
        if (waiting := _alternative_queue(error)) is None:
            raise
        made = await call(task_queue=waiting, start_to_close_timeout=attempt + call_timeout)
    return made


def _allow_move(asked: P) -> P:
    """Return the input, marked to allow a move to another queue."""
    movable: Any = asked
    moved: P = replace(movable, may_move=True)
    return moved


def _alternative_queue(error: ActivityError) -> str | None:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == SLOTS_FULL and cause.details:
        return str(cause.details[0])
    return None

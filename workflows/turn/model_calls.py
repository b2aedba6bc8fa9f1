"""Activities that call a model, and their move to another worker's queue when all slots of a worker are taken."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import SLOTS_FULL
    from workflows.timeouts import HEARTBEAT_TIMEOUT, SETTLEMENT_TIMEOUT

MOST_MOVES = 2
"""A worker whose slots are all taken names the queue of the default provider, and that one's worker another's."""
LONGEST_KEY = 64
"""Temporal refuses longer fairness keys, in bytes."""
P = TypeVar("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """A task queue, and the weight by which the tenant's calls are taken from it; None is 1."""

    queue: str
    weight: float | None = None


async def call_model(
    method: Callable[[Any, P], Awaitable[T]],
    asked: P,
    queue: str,
    call_timeout: timedelta,
    *,
    tenant_id: str,
    **options: Any,
) -> T:
    """Execute a model call of a tenant on `queue`, or on the queue that a full worker names instead.

    One attempt lasts for the call plus the time to settle its cost while the database is away; a moved one may have to
    wait for another call as well. What waits in a queue is taken in turn of the tenants, by their weights.
    """
    attempt = call_timeout + SETTLEMENT_TIMEOUT
    call = partial(
        workflow.execute_activity_method,
        method,
        _allow_move(asked),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        **options,
    )
    place, longest = Place(queue), attempt
    for moves in range(MOST_MOVES + 1):
        priority = Priority(fairness_key=tenant_id[:LONGEST_KEY], fairness_weight=place.weight)
        try:
            made: T = await call(task_queue=place.queue, start_to_close_timeout=longest, priority=priority)
        except ActivityError as error:
            if moves == MOST_MOVES or (moved := _alternative_place(error)) is None:
                raise
            place, longest = moved, attempt + call_timeout
        else:
            return made
    raise ValueError("the last try returns or raises")


def _allow_move(asked: P) -> P:
    """Return the input, marked to allow a move to another queue."""
    movable: Any = asked
    moved: P = replace(movable, may_move=True)
    return moved


def _alternative_place(error: ActivityError) -> Place | None:
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type != SLOTS_FULL or not cause.details:
        return None
    queue, *weight = cause.details
    return Place(str(queue), float(weight[0]) if weight else None)

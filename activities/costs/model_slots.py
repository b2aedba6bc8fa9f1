"""Slots for model calls: the limit on concurrent calls of a worker, and the queue of calls without a slot."""

import asyncio
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.chat.messages import SLOTS_FULL
from activities.heartbeat import send_heartbeats

_WAITING_BEAT_S = 3.0
"""Three in a heartbeat timeout: a hundred waiting calls should cost Temporal little."""
MODEL_ACTIVITIES = frozenset({"think", "summarise", "answer_node"})


class ModelSlots(Interceptor):
    """Limits concurrent model calls in this process to `most`, whichever task queues they come by.

    Calls without a slot leave at once for `waiting_queue`, so that they do not block the short activities of their own
    queue. Where this process does not serve that queue (None), or the caller cannot move (`may_move`), they wait here.
    """

    def __init__(self, most: int, waiting_queue: str | None) -> None:
        self._free = asyncio.Semaphore(most)
        self._waiting_queue = waiting_queue

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  (its name upstream)
        return _Inbound(super().intercept_activity(next), self)

    async def take(self, asked: Any) -> None:
        """Take a slot, or send the call to the queue where it can wait for one.

        Raises:
            ApplicationError: the call has to be scheduled in another queue.
        """
        waits_elsewhere = self._waiting_queue not in {None, activity.info().task_queue}
        if self._free.locked() and waits_elsewhere and getattr(asked, "may_move", False):
            raise ApplicationError(
                "no slot is free",
                self._waiting_queue,
                type=SLOTS_FULL,
                non_retryable=True,
                category=ApplicationErrorCategory.BENIGN,  # no failure: not a warning for each
            )
        with send_heartbeats(_WAITING_BEAT_S):
            await self._free.acquire()

    def release(self) -> None:
        """Release a slot."""
        self._free.release()


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, slots: ModelSlots) -> None:  # noqa: A002  (its name upstream)
        super().__init__(next)
        self._slots = slots

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  (its name upstream)
        if activity.info().activity_type not in MODEL_ACTIVITIES:
            return await super().execute_activity(input)
        await self._slots.take(input.args[0])
        try:
            return await super().execute_activity(input)
        finally:
            self._slots.release()

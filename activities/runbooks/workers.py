"""Steps of `drain-worker`."""

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic

from temporalio import activity

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.errors import Conflict, NotFound, Unavailable
from domain.runbooks.ports import QueueState, TaskQueues, WorkerDrains

_LOOK_S = 0.5
_LONGEST_POLL = timedelta(seconds=75)
"""Time from one poll of a worker to the next: one takes a minute at most."""


class WorkerSteps:
    """Drains a worker: it is told in the database, where each worker looks every second."""

    def __init__(self, queues: TaskQueues, drains: WorkerDrains, now: Callable[[], datetime]) -> None:
        self._queues = queues
        self._drains = drains
        self._now = now

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("drain-worker", "inspect"): self.inspect,
            ("drain-worker", "drain"): self.drain,
            ("drain-worker", "await"): self.await_drained,
        }

    async def inspect(self, context: RunbookContext) -> StepResult:
        """Find the queues of the worker, and those that would have no other one.

        Raises:
            NotFound: no worker of this identity polls.
        """
        worker = str(context.parameters["worker"])
        pollers = {(state.queue, state.kind): self._current_pollers(state) for state in await self._queues.states()}
        polled = {place: workers for place, workers in pollers.items() if worker in workers}
        if not polled:
            raise NotFound(f"no worker polls as {worker}: GET /admin/system/info lists them")
        return {
            "worker": worker,
            "queues": sorted({queue for queue, _ in polled}),
            "queues_without_another_worker": sorted(
                {queue for (queue, _), workers in polled.items() if workers == {worker}}
            ),
        }

    def _current_pollers(self, state: QueueState) -> set[str]:
        """Return the workers that poll a queue now: Temporal lists those that are gone for some minutes."""
        since = self._now() - _LONGEST_POLL
        return {each.worker for each in state.pollers if each.last_seen_at is None or each.last_seen_at > since}

    async def drain(self, context: RunbookContext) -> StepResult:
        """Tell the worker to stop polling."""
        worker = str(context.parameters["worker"])
        if not context.dry_run:
            await to_thread(self._drains.request, worker, context.run_id)
        return {"worker": worker, "requested": not context.dry_run}

    async def await_drained(self, context: RunbookContext) -> StepResult:
        """Wait until the work of the worker has ended.

        Raises:
            Conflict: it has not ended in time, or the worker is gone.
            Unavailable: this very worker is being drained; another one continues.
        """
        worker, end = str(context.parameters["worker"]), monotonic() + float(context.parameters["timeout_s"])
        while not context.dry_run:
            found = await to_thread(self._drains.find, worker)
            if found is not None and found.drained_at is not None:
                waited = (found.drained_at - found.requested_at).total_seconds()
                return {"worker": worker, "drained_after_s": round(waited, 3)}
            if activity.is_worker_shutdown():
                raise Unavailable("the worker that waited is being stopped", retry_after=1)
            if monotonic() > end:
                raise Conflict(f"{worker} has not told within {context.parameters['timeout_s']} s that it is drained")
            await asyncio.sleep(_LOOK_S)
        return {"worker": worker, "drained_after_s": None}

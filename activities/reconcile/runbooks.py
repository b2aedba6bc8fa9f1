"""Reconciles runs of runbooks: those that were requested and have not ended run, though Temporal was away."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable

from temporalio import activity

from domain.runbooks.ports import RunbookReads

_MOST = 100


class RunbookReconciler:
    """The activity of the `ReconcileWorkflow` workflow for runbooks. `start` starts a run unless it runs."""

    def __init__(self, reads: RunbookReads, start: Callable[[str], Awaitable[bool]]) -> None:
        self._reads = reads
        self._start = start

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_runbooks]

    @activity.defn(name="reconcile_runbooks")
    async def reconcile_runbooks(self) -> int:
        """Start the runs that should run and do not. Returns their number."""
        running = await to_thread(self._reads.read_running, _MOST)
        return sum([await self._start(run_id) for run_id in running])

"""Reconciles erasures: those that were requested and not completed run, though Temporal was away or lost them."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable

from temporalio import activity

from domain.erasures.ports import ErasureReads

_MOST = 100


class ErasureReconciler:
    """The activity of the `ReconcileWorkflow` workflow for erasures. `start` starts one unless it runs."""

    def __init__(self, reads: ErasureReads, start: Callable[[str], Awaitable[bool]]) -> None:
        self._reads = reads
        self._start = start

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_erasures]

    @activity.defn(name="reconcile_erasures")
    async def reconcile_erasures(self) -> int:
        """Start the erasures that should run and do not. Returns their number."""
        running = await to_thread(self._reads.read_running, _MOST)
        return sum([await self._start(erasure_id) for erasure_id in running])

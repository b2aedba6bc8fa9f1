"""Reconciles documents: those that were submitted and not indexed are being indexed, though Temporal was away."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable

from temporalio import activity

from domain.knowledge.aggregate import owner
from domain.knowledge.ports import DocumentReads

_MOST = 100


class DocumentReconciler:
    """The activity of the `ReconcileWorkflow` workflow for documents. `start` has one indexed; twice does no harm."""

    def __init__(self, reads: DocumentReads, start: Callable[[str], Awaitable[bool]]) -> None:
        self._reads = reads
        self._start = start

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_documents]

    @activity.defn(name="reconcile_documents")
    async def reconcile_documents(self) -> int:
        """Have the documents indexed that are not. Returns their number."""
        pending = await to_thread(self._reads.read_unindexed, _MOST)
        return sum([await self._start(owner(row.tenant_id, row.document_id)) for row in pending])

"""Steps of `reindex-knowledge`."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

from activities.runbooks.steps import RunbookContext, StepHandler, StepResult
from domain.errors import Conflict, NotFound, Unavailable
from domain.events import Cause
from domain.ids import derived_id
from domain.knowledge.aggregate import owner
from domain.knowledge.commands import DocumentCommands
from domain.knowledge.ports import DocumentReads
from domain.knowledge.projection import DocumentRow

_PAGE = 500


class KnowledgeSteps:
    """Embeds documents anew that another model embedded, or all. Each is found by its old version meanwhile.

    `start` has a document indexed.
    """

    def __init__(
        self,
        commands: DocumentCommands,
        reads: DocumentReads,
        model: str,
        *,
        start: Callable[[str], Awaitable[bool]],
        now: Callable[[], datetime],
    ) -> None:
        self._commands = commands
        self._reads = reads
        self._model = model
        self._start = start
        self._now = now

    def handlers(self) -> Mapping[tuple[str, str], StepHandler]:
        return {
            ("reindex-knowledge", "inspect"): self.inspect,
            ("reindex-knowledge", "reindex"): self.reindex,
            ("reindex-knowledge", "report"): self.inspect,
        }

    async def inspect(self, context: RunbookContext) -> StepResult:
        """Count the documents that are to be embedded anew, and those that are being indexed."""
        wanted = await to_thread(lambda: sum(1 for _ in self._documents(context)))
        pending = await to_thread(self._reads.read_unindexed, _PAGE)
        return {"model": self._model, "documents": wanted, "processing": len(pending)}

    async def reindex(self, context: RunbookContext) -> StepResult:
        """Submit each of the documents again. Done twice it submits nothing more."""
        rows = await to_thread(lambda: list(self._documents(context)))
        submitted = skipped = 0
        for row in () if context.dry_run else rows:
            if await to_thread(self._submit, row, context):
                submitted += 1
                with suppress(Unavailable):  # it is recorded, and reconciled each minute
                    await self._start(owner(row.tenant_id, row.document_id))
            else:
                skipped += 1
        return {"documents": len(rows), "submitted": submitted, "skipped": skipped}

    def _submit(self, row: DocumentRow, context: RunbookContext) -> bool:
        submission_id = derived_id("reindex", context.run_id, owner(row.tenant_id, row.document_id))
        cause = Cause(context.by, context.run_id, self._now(), row.tenant_id)
        try:
            return self._commands.reindex(row.document_id, submission_id, cause)
        except (NotFound, Conflict):  # it was deleted meanwhile, or has no content any more
            return False

    def _documents(self, context: RunbookContext) -> Iterator[DocumentRow]:
        model = "" if context.parameters.get("all") else self._model
        after = ("", "")
        while rows := self._reads.not_of(model, after, _PAGE):
            yield from rows
            after = (rows[-1].tenant_id, rows[-1].document_id)

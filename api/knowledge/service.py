"""Document service: submissions, views and deletions."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from api.http.dependencies import Positions
from domain.content import Content, ContentEraser, ContentStore
from domain.erasures.ports import UserLinks
from domain.errors import Unavailable
from domain.events import Cause
from domain.ids import derived_id, random_id
from domain.knowledge import policy
from domain.knowledge.aggregate import Submission, owner
from domain.knowledge.commands import Check, DocumentCommands
from domain.knowledge.events import DocumentSubmitted, Kind, Source
from domain.knowledge.index import VectorStore
from domain.knowledge.ports import DocumentFilter, DocumentPage, DocumentReads, Indexing, StagedChunks
from domain.knowledge.projection import DocumentRow, KnowledgeProjection
from workflows.knowledge.client import IngestClient


@dataclass(frozen=True, slots=True)
class DocumentToIndex:
    """A document as a caller sent it: `stored` is its content in the form of a text, or None with a URL."""

    source: Source
    kind: Kind
    title: str
    stored: str | None
    size: int
    url: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    document_id: str | None = None
    collection: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentStores:
    """Where documents are: their texts, their view, and their chunks."""

    content: ContentStore
    eraser: ContentEraser
    reads: DocumentReads
    staged: StagedChunks
    index: VectorStore
    users: UserLinks


@dataclass(frozen=True, slots=True)
class DocumentDetails:
    """A document with its texts, by hash, and how far its indexing is."""

    row: DocumentRow
    texts: Mapping[str, str]
    progress: Indexing | None


class DocumentService:
    """The documents of this deployment."""

    def __init__(
        self,
        commands: DocumentCommands,
        client: IngestClient,
        stores: DocumentStores,
        positions: Positions,
        now: Callable[[], datetime],
    ) -> None:
        self._commands = commands
        self._client = client
        self._stores = stores
        self._positions = positions
        self.now = now

    async def submit(self, document: DocumentToIndex, cause: Cause, key: str | None) -> DocumentSubmitted:
        """Record a submission, and have it indexed; one that cannot be started now is started within a minute.

        Raises:
            Invalid, TooLarge: the document cannot be stored.
            Unavailable: the ledger cannot be reached; nothing was accepted.
        """
        submitted = await asyncio.to_thread(self._record, document, cause, key)
        with suppress(Unavailable):  # it is recorded, and reconciled each minute
            await self._client.start(owner(cause.tenant_id, submitted.document_id))
        await self._positions.wait(KnowledgeProjection.name)
        return submitted

    def page(self, wanted: DocumentFilter, *, skip: int, limit: int) -> tuple[DocumentPage, list[DocumentDetails]]:
        """Return a page of documents."""
        found = self._stores.reads.page(wanted, skip=skip, limit=limit)
        return found, self._details(found.documents)

    def get(self, tenant_id: str, document_id: str) -> DocumentDetails:
        """Return a document.

        Raises:
            NotFound: there is none.
        """
        [details] = self._details([self._stores.reads.get(tenant_id, document_id)])
        return details

    async def delete(self, document_id: str, cause: Cause, *, check: Check) -> None:
        """Delete a document with all its texts. Nobody finds it from now on.

        Raises:
            NotFound: there is none.
        """
        of_texts = owner(cause.tenant_id, document_id)
        await asyncio.to_thread(self._commands.delete, document_id, cause, check=check)
        await asyncio.to_thread(self._remove, of_texts)
        with suppress(Unavailable):  # a step that is at work now adds nothing that can be found
            await self._client.start(of_texts)
        await self._positions.wait(KnowledgeProjection.name)

    def _remove(self, of_texts: str) -> None:
        self._stores.staged.remove(of_texts)
        self._stores.index.remove(of_texts)
        self._stores.eraser.erase(of_texts)

    def _record(self, document: DocumentToIndex, cause: Cause, key: str | None) -> DocumentSubmitted:
        document_id = policy.document_id_of(document.document_id, key)
        of_texts = owner(cause.tenant_id, document_id)
        title, metadata = (
            Content(of_texts, document.title),
            Content(of_texts, policy.encode_metadata(document.metadata)),
        )
        content = Content(of_texts, document.stored) if document.stored is not None else None
        url = Content(of_texts, document.url) if document.url is not None else None
        submission = Submission(
            collection=policy.collection_of(document.collection),
            source=document.source,
            kind=document.kind,
            title_hash=title.hash,
            metadata_hash=metadata.hash,
            content_hash=content.hash if content else None,
            url_hash=url.hash if url else None,
            size=document.size,
            submission_id=derived_id("knowledge.submission", key) if key else random_id("submission"),
        )
        if document.user_id is not None:
            self._stores.users.link(cause.tenant_id, document.user_id, of_texts)
        texts = [each for each in (title, metadata, content, url) if each is not None]
        return self._commands.submit(document_id, submission, texts, cause)

    def _details(self, rows: Sequence[DocumentRow]) -> list[DocumentDetails]:
        owners = [owner(row.tenant_id, row.document_id) for row in rows]
        progress = self._stores.staged.states(owners) if owners else {}
        return [
            DocumentDetails(row, self._texts(of_texts, row), progress.get(of_texts))
            for row, of_texts in zip(rows, owners, strict=True)
        ]

    def _texts(self, of_texts: str, row: DocumentRow) -> Mapping[str, str]:
        wanted = [each for each in (row.title_hash, row.metadata_hash, row.url_hash) if each is not None]
        return self._stores.content.get(of_texts, wanted)

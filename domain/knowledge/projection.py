"""The read model of documents: each with its newest generation. Deleted ones are not in it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.knowledge.events import (
    DocumentDeleted,
    DocumentFailed,
    DocumentFetched,
    DocumentIndexed,
    DocumentSubmitted,
)
from domain.projection import Key, Row, Rows

_Later = DocumentFetched | DocumentIndexed | DocumentFailed


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A document; its texts by their hashes.

    `generation` is the newest, `indexed_generation` the one that can be found: 0 while there is none. The counts, the
    model and its dimensions are those of the indexed one.
    """

    TABLE: ClassVar[str] = "documents"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "document_id")

    tenant_id: str
    document_id: str
    collection: str
    status: str
    generation: int
    indexed_generation: int
    source: str
    kind: str
    title_hash: str
    metadata_hash: str
    url_hash: str | None
    size: int
    chunks: int
    words: int
    pages: int | None
    tokens: int
    model: str | None
    dimensions: int | None
    code: str | None
    reason: str | None
    submitted_by: str
    created_at: datetime
    updated_at: datetime


class KnowledgeProjection:
    """Folds the events of documents."""

    name = "knowledge"
    kinds: tuple[type[Row], ...] = (DocumentRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, DocumentSubmitted | DocumentDeleted | _Later):
            yield DocumentRow, (event.tenant_id, event.document_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        event = recorded.event
        match event:
            case DocumentSubmitted():
                rows.put(_new_row(event, rows.get(DocumentRow, event.tenant_id, event.document_id)))
            case DocumentDeleted():
                rows.drop(DocumentRow, event.tenant_id, event.document_id)
            case DocumentFetched() | DocumentIndexed() | DocumentFailed():
                row = rows.get(DocumentRow, event.tenant_id, event.document_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never submitted")
                rows.put(_change_row(row, event))


def _new_row(event: DocumentSubmitted, before: DocumentRow | None) -> DocumentRow:
    return DocumentRow(
        tenant_id=event.tenant_id,
        document_id=event.document_id,
        collection=event.collection,
        status="processing",
        generation=event.generation,
        indexed_generation=before.indexed_generation if before else 0,
        source=event.source,
        kind=event.kind,
        title_hash=event.title_hash,
        metadata_hash=event.metadata_hash,
        url_hash=event.url_hash,
        size=event.size,
        chunks=before.chunks if before else 0,
        words=before.words if before else 0,
        pages=before.pages if before else None,
        tokens=before.tokens if before else 0,
        model=before.model if before else None,
        dimensions=before.dimensions if before else None,
        code=None,
        reason=None,
        submitted_by=event.by,
        created_at=before.created_at if before else event.at,
        updated_at=event.at,
    )


def _change_row(row: DocumentRow, event: _Later) -> DocumentRow:
    match event:
        case DocumentFetched():
            return replace(row, kind=event.kind, size=event.size, updated_at=event.at)
        case DocumentFailed():
            return replace(row, status="failed", code=event.code, reason=event.reason, updated_at=event.at)
        case DocumentIndexed():
            return replace(
                row,
                status="indexed",
                indexed_generation=event.generation,
                chunks=event.chunks,
                words=event.words,
                pages=event.pages,
                tokens=event.tokens,
                model=event.model,
                dimensions=event.dimensions,
                updated_at=event.at,
            )

"""Documents and passages as responses."""

from typing import Any, cast

import orjson

from api.knowledge.schemas import DocumentError, DocumentView, Progress, SearchAnswer, SearchHit
from api.knowledge.service import DocumentDetails
from domain.knowledge.fusion import ChunkKey
from domain.knowledge.index import SearchHits, SearchRequest


def to_document(details: DocumentDetails) -> DocumentView:
    """Return a document with its texts."""
    row, texts, progress = details.row, details.texts, details.progress
    metadata = texts.get(row.metadata_hash)
    is_running = row.status == "processing" and progress is not None
    return DocumentView(
        document_id=row.document_id,
        title=texts.get(row.title_hash),
        collection=row.collection,
        status=cast("Any", row.status),
        version=row.generation,
        searchable_version=row.indexed_generation or None,
        source=cast("Any", row.source),
        format=row.kind,
        url=texts.get(row.url_hash) if row.url_hash else None,
        size=row.size,
        metadata=orjson.loads(metadata) if metadata is not None else None,
        progress=Progress(done=progress.done, total=progress.total) if is_running and progress else None,
        error=DocumentError(code=row.code, message=row.reason or "") if row.code else None,
        chunks=row.chunks,
        words=row.words,
        pages=row.pages,
        tokens=row.tokens,
        model=row.model,
        dimensions=row.dimensions,
        submitted_by=row.submitted_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def to_answer(request: SearchRequest, found: SearchHits, *, took_ms: int) -> SearchAnswer:
    """Return the passages that were found."""
    return SearchAnswer(
        results=[
            SearchHit(
                document_id=passage.document_id,
                chunk_id=chunk_id(passage.document_id, passage.number),
                title=passage.title,
                content=passage.text,
                score=score,
                metadata=dict(passage.metadata),
                collection=passage.collection,
                heading=passage.heading or None,
                page=passage.page,
                highlights=list(passage.highlights),
                scores=_scores((passage.owner, passage.number), found),
            )
            for passage, score in found.passages
        ],
        total=found.total,
        skip=request.skip,
        limit=request.limit,
        mode=request.mode,
        took_ms=took_ms,
    )


def chunk_id(document_id: str, number: int) -> str:
    """Return the id of a chunk of the searchable version of a document."""
    return f"{document_id}#{number}"


def _scores(key: ChunkKey, found: SearchHits) -> dict[str, float]:
    return dict(found.parts.get(key, {}))

"""One document: the decisions to submit, index and delete it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal

from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.knowledge.events import (
    DocumentDeleted,
    DocumentFailed,
    DocumentFetched,
    DocumentIndexed,
    DocumentSubmitted,
    Kind,
    Source,
)
from domain.tenant_ids import qualified, stream_prefix, tenant_of

Status = Literal["processing", "indexed", "failed"]
OWNER_PREFIX = "document_"


@dataclass(frozen=True, slots=True)
class Submission:
    """A generation to submit, its texts by their hashes."""

    collection: str
    source: Source
    kind: Kind
    title_hash: str
    metadata_hash: str
    content_hash: str | None
    url_hash: str | None
    size: int
    submission_id: str


@dataclass(frozen=True, slots=True)
class IndexResult:
    """What a generation was indexed as."""

    chunks: int
    words: int
    pages: int | None
    tokens: int
    model: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class Document:
    """A document by its events. `submission` is None before the first one, and after a deletion.

    `generation` counts all submissions; `indexed` is the newest generation that was indexed.
    """

    version: int = 0
    generation: int = 0
    submission: DocumentSubmitted | None = None
    fetched: DocumentFetched | None = None
    indexed: DocumentIndexed | None = None
    failed: DocumentFailed | None = None

    @property
    def is_pending(self) -> bool:
        """Return True if its newest generation is still to be indexed."""
        return self.submission is not None and not self._has_ended(self.generation)

    def _has_ended(self, generation: int) -> bool:
        ends = (self.indexed, self.failed)
        return any(end is not None and end.generation == generation for end in ends)

    @property
    def content_hash(self) -> str | None:
        """The hash of the newest generation's content; None of a URL that was not fetched."""
        if self.fetched is not None:
            return self.fetched.content_hash
        return self.submission.content_hash if self.submission else None

    @property
    def kind(self) -> Kind:
        """The form of the newest generation.

        Raises:
            NotFound: there is no document.
        """
        return self.fetched.kind if self.fetched is not None else self.current.kind

    @property
    def current(self) -> DocumentSubmitted:
        """The newest submission.

        Raises:
            NotFound: there is none, or it was deleted.
        """
        if self.submission is None:
            raise NotFound("there is no such document")
        return self.submission


def stream(tenant_id: str, document_id: str) -> str:
    return f"{stream_prefix('document', tenant_id)}{document_id}"


def owner(tenant_id: str, document_id: str) -> str:
    """Return the owner of the document's texts and chunks, which names it among those of all tenants."""
    return f"{OWNER_PREFIX}{qualified(tenant_id, document_id)}"


def document_of(of_texts: str) -> tuple[str, str]:
    """Return the tenant and the id of the document that owns these texts."""
    tenant_id = tenant_of(of_texts)
    name = of_texts.removeprefix(OWNER_PREFIX)
    return tenant_id, name.partition("~")[2] if "~" in name else name


def evolve(document: Document, event: Event) -> Document:
    document = replace(document, version=document.version + 1)
    match event:
        case DocumentSubmitted():
            return replace(document, generation=event.generation, submission=event, fetched=None)
        case DocumentFetched():
            return replace(document, fetched=event)
        case DocumentIndexed():
            return replace(document, indexed=event)
        case DocumentFailed():
            return replace(document, failed=event)
        case DocumentDeleted():
            return Document(version=document.version, generation=document.generation)
        case _:
            return document


def load(events: Iterable[Event]) -> Document:
    return reduce(evolve, events, Document())


def submit(document: Document, document_id: str, submission: Submission, cause: Cause) -> list[Event]:
    """Submit the next generation."""
    return [
        DocumentSubmitted(
            document_id=document_id,
            generation=document.generation + 1,
            collection=submission.collection,
            source=submission.source,
            kind=submission.kind,
            title_hash=submission.title_hash,
            metadata_hash=submission.metadata_hash,
            content_hash=submission.content_hash,
            url_hash=submission.url_hash,
            size=submission.size,
            submission_id=submission.submission_id,
            **cause.fields(),
        )
    ]


def fetch(
    document: Document, generation: int, cause: Cause, *, kind: Kind, content_hash: str, size: int
) -> list[Event]:
    """Record the content of a URL, once; nothing if another generation is the newest."""
    if document.generation != generation or document.submission is None or document.fetched is not None:
        return []
    current = document.current
    return [
        DocumentFetched(
            document_id=current.document_id,
            generation=generation,
            kind=kind,
            content_hash=content_hash,
            size=size,
            **cause.fields(),
        )
    ]


def index(document: Document, generation: int, result: IndexResult, cause: Cause) -> list[Event]:
    """Record that the newest generation was indexed, once; nothing if another one is the newest."""
    if document.generation != generation or not document.is_pending:
        return []
    return [
        DocumentIndexed(
            document_id=document.current.document_id,
            generation=generation,
            chunks=result.chunks,
            words=result.words,
            pages=result.pages,
            tokens=result.tokens,
            model=result.model,
            dimensions=result.dimensions,
            **cause.fields(),
        )
    ]


def fail(document: Document, generation: int, code: str, reason: str, cause: Cause) -> list[Event]:
    """Record that the newest generation cannot be indexed, once; nothing if another one is the newest."""
    if document.generation != generation or not document.is_pending:
        return []
    return [
        DocumentFailed(
            document_id=document.current.document_id, generation=generation, code=code, reason=reason, **cause.fields()
        )
    ]


def reindex(document: Document, submission_id: str, cause: Cause) -> list[Event]:
    """Submit the newest generation again, unless one is being indexed.

    Raises:
        NotFound: there is no document.
        Conflict: it has no content that could be read again.
    """
    current = document.current
    if document.is_pending:
        return []
    if document.content_hash is None and current.url_hash is None:
        raise Conflict("the document has no content")
    again = Submission(
        collection=current.collection,
        source=current.source,
        kind=document.kind,
        title_hash=current.title_hash,
        metadata_hash=current.metadata_hash,
        content_hash=document.content_hash,
        url_hash=current.url_hash,
        size=document.fetched.size if document.fetched else current.size,
        submission_id=submission_id,
    )
    return submit(document, current.document_id, again, cause)


def delete(document: Document, cause: Cause) -> list[Event]:
    """Delete the document.

    Raises:
        NotFound: there is none.
    """
    current = document.current
    return [DocumentDeleted(document_id=current.document_id, generation=document.generation, **cause.fields())]

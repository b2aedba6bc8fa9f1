"""What can happen to a document. Its stream is `document:<id>`, `document~<tenant>:<id>` for other tenants."""

from typing import Literal

from domain.events import Event

Source = Literal["text", "file", "url"]
Kind = Literal["text", "markdown", "html", "pdf", "docx", "pptx", "xlsx", "csv", "email"]
"""The form of a document. That of a URL is known once it was fetched; until then it is `text`."""


class DocumentSubmitted(Event):
    """A generation of the document was submitted; generations count from 1, and each replaces the one before.

    Title, metadata and content are texts of the document; a file's content is the base64 of its bytes, and `size` the
    number of bytes. A URL has no content yet. `submission_id` names the request.
    """

    NAME = "knowledge.document_submitted"

    document_id: str
    generation: int
    collection: str
    source: Source
    kind: Kind
    title_hash: str
    metadata_hash: str
    content_hash: str | None
    url_hash: str | None
    size: int
    submission_id: str


class DocumentFetched(Event):
    """The content of a URL was fetched."""

    NAME = "knowledge.document_fetched"

    document_id: str
    generation: int
    kind: Kind
    content_hash: str
    size: int


class DocumentIndexed(Event):
    """The generation can be found, and no other. `tokens` are those of its embedding calls."""

    NAME = "knowledge.document_indexed"

    document_id: str
    generation: int
    chunks: int
    words: int
    pages: int | None
    tokens: int
    model: str
    dimensions: int


class DocumentFailed(Event):
    """The generation could not be indexed; the one before stays. `reason` is a sentence of the platform."""

    NAME = "knowledge.document_failed"

    document_id: str
    generation: int
    code: str
    reason: str


class DocumentDeleted(Event):
    """The document was deleted; the next submission under its id counts on from `generation`."""

    NAME = "knowledge.document_deleted"

    document_id: str
    generation: int


EVENTS = (DocumentSubmitted, DocumentFetched, DocumentIndexed, DocumentFailed, DocumentDeleted)

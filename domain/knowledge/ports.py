"""Ports of knowledge: views of documents, embeddings, extraction of text, and chunks that are being indexed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.knowledge.chunking import Block, Chunk
from domain.knowledge.events import Kind
from domain.knowledge.projection import DocumentRow

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class DocumentFilter:
    """The documents of one tenant; None lets all of them through."""

    tenant_id: str
    collection: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """A page of documents, in the order of their ids; `total` counts all that match."""

    documents: list[DocumentRow]
    total: int


class DocumentReads(Protocol):
    """Documents, up to the projection's position."""

    def page(self, wanted: DocumentFilter, *, skip: int, limit: int) -> DocumentPage: ...

    def get(self, tenant_id: str, document_id: str) -> DocumentRow:
        """Return a document.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def read_unindexed(self, limit: int) -> list[DocumentRow]:
        """Return documents of all tenants that are being indexed, the longest first."""
        ...

    def not_of(self, model: str, after: tuple[str, str], limit: int) -> list[DocumentRow]:
        """Return indexed documents of all tenants that another model embedded, after this tenant and id."""
        ...


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors of texts, in their order, of length 1, and the tokens that the model counted."""

    vectors: Sequence[Vector]
    model: str
    tokens: int
    provider_call_id: str | None = None


class Embedder(Protocol):
    """An embedding model."""

    model: str

    async def embed(self, texts: Sequence[str], *, request_id: str) -> Embeddings:
        """Return the vector of each text.

        Raises:
            domain.chat.model_port.ModelFailure: there are none, whatever the reason.
        """
        ...


class Embedders(Protocol):
    """The embedding models of this deployment."""

    default: str

    def of(self, model: str) -> Embedder:
        """Return a model.

        Raises:
            domain.errors.Invalid: this deployment does not have it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a document in order, and what it says of itself."""

    blocks: Sequence[Block]
    title: str = ""
    pages: int | None = None


class ExtractionFailed(Exception):  # noqa: N818  (a refusal of the document)
    """The document cannot be read. The message is the platform's own and quotes nothing of the document."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Extractor(Protocol):
    """Reads documents."""

    def extract(self, kind: Kind, content: bytes) -> Extracted:
        """Return the text of a document. It takes bounded time and memory.

        Raises:
            ExtractionFailed: it cannot be read.
            domain.errors.Unavailable: no process is free to read it.
        """
        ...


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """The bytes at a URL, and the media type that its server named."""

    content: bytes
    media_type: str


class PageFetcher(Protocol):
    """Fetches documents of the public web."""

    async def fetch(self, url: str) -> FetchedPage:
        """Return the document at a URL.

        Raises:
            ExtractionFailed: it cannot be fetched, and never will be.
            domain.errors.Unavailable: it cannot be fetched now.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of a document, by the owner of its texts, which names the tenant."""

    owner: str
    number: int


@dataclass(frozen=True, slots=True)
class Indexing:
    """A generation that is being indexed: `done` of `total` chunks are embedded, by this model.

    `pages` are those of a PDF or of slides; `dimensions` is 0 until the first chunks are embedded.
    """

    total: int
    done: int
    words: int
    pages: int | None
    tokens: int
    model: str
    dimensions: int


class StagedChunks(Protocol):
    """Chunks of generations that are being indexed."""

    def stage(self, generation: Generation, chunks: Sequence[Chunk], pages: int | None, model: str) -> None:
        """Keep the chunks of a generation, in place of any kept before; this model is to embed them."""
        ...

    def state(self, generation: Generation) -> Indexing | None:
        """Return how far a generation is; None if it is not being indexed."""
        ...

    def states(self, owners: Sequence[str]) -> Mapping[str, Indexing]:
        """Return how far the newest generations of documents are, by owner."""
        ...

    def next_batch(self, generation: Generation, most: int) -> list[Chunk]:
        """Return the next chunks that are not embedded."""
        ...

    def advance(self, generation: Generation, numbers: Sequence[int], embeddings: Embeddings, kept: str) -> None:
        """Record that chunks are embedded and stored; the text with this hash, which kept the vectors, is removed."""
        ...

    def remove(self, owner: str, *, before: int | None = None) -> None:
        """Forget a document's generations, or only those before this one."""
        ...

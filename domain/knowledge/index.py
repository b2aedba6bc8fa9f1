"""The port of the index: what is found, in what scope, and the store that finds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, Protocol

from domain.knowledge.chunking import Chunk
from domain.knowledge.filters import Condition
from domain.knowledge.fusion import ChunkKey, Fusion, Ranked
from domain.knowledge.ports import Generation, Vector

Mode = Literal["hybrid", "vector", "keyword"]


@dataclass(frozen=True, slots=True)
class DocumentEntry:
    """A document as the index has it, with the generation that can be found."""

    generation: Generation
    tenant_id: str
    document_id: str
    collection: str
    title: str
    metadata: Mapping[str, Any]
    dated: date
    model: str
    dimensions: int
    chunks: int
    words: int


@dataclass(frozen=True, slots=True)
class Scope:
    """The documents of a tenant that are searched: of these collections or all but users' own, and these ids or all."""

    tenant_id: str
    collections: tuple[str, ...] = ()
    document_ids: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search: `alpha` is the weight of the vectors in a hybrid one."""

    query: str
    scope: Scope
    mode: Mode = "hybrid"
    fusion: Fusion = "rrf"
    alpha: float = 0.5
    skip: int = 0
    limit: int = 10


@dataclass(frozen=True, slots=True)
class ChunkHit:
    """A chunk that was found, with its document."""

    owner: str
    number: int
    document_id: str
    collection: str
    title: str
    text: str
    heading: str
    page: int | None
    metadata: Mapping[str, Any]
    highlights: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchHits:
    """Passages, the best first, with their scores; `total` counts the ranked ones on all pages.

    `documents` counts those in scope where nothing was found, and otherwise those on the page.
    """

    passages: Sequence[tuple[ChunkHit, float]]
    total: int
    documents: int
    models: tuple[str, ...] = ()
    parts: Mapping[ChunkKey, Mapping[str, float]] = field(default_factory=dict)


class VectorStore(Protocol):
    """The store of embedded chunks. Every write can be done twice."""

    name: str

    def prepare(self, dimensions: int) -> None:
        """Make sure that vectors of this length can be searched.

        Raises:
            domain.errors.Invalid: the store cannot index vectors of this length.
        """
        ...

    def add(self, generation: Generation, title: str, chunks: Sequence[Chunk], vectors: Sequence[Vector]) -> None:
        """Store embedded chunks of a generation. Nobody finds them before it is activated."""
        ...

    def activate(self, entry: DocumentEntry, is_wanted: Callable[[], bool]) -> bool:
        """Replace what can be found of a document by this generation, at once; False if it is not wanted any more."""
        ...

    def remove(self, owner: str, *, before: int | None = None) -> None:
        """Remove a document, or only what it had in generations before this one."""
        ...

    def models(self, tenant_id: str) -> Sequence[str]:
        """Return the models that embedded the documents of a tenant."""
        ...

    def count(self, scope: Scope) -> tuple[int, int]:
        """Return the numbers of documents and chunks in a scope."""
        ...

    def nearest(self, scope: Scope, model: str, vector: Vector, most: int) -> list[Ranked]:
        """Return the chunks nearest to a vector, by cosine similarity; as many as there are, up to `most`."""
        ...

    def match_words(self, scope: Scope, query: str, most: int) -> list[Ranked]:
        """Return the chunks that match the words of a query, by BM25; as many as there are, up to `most`."""
        ...

    def passages(self, keys: Sequence[ChunkKey], query: str) -> Mapping[ChunkKey, ChunkHit]:
        """Return chunks with their documents, and where they match the query."""
        ...

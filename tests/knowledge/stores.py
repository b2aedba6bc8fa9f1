"""Documents with made-up vectors, for the tests of stores."""

import random
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from adapters.postgres.knowledge.staging import PostgresStagedChunks
from domain.knowledge.aggregate import owner
from domain.knowledge.chunking import Chunk
from domain.knowledge.filters import parse_filters
from domain.knowledge.index import DocumentEntry, Scope, VectorStore
from domain.knowledge.ports import Generation, Vector

MODEL = "made-up"
DIMENSIONS = 384


def direction(seed: object) -> Vector:
    """A vector of length 1 that only depends on the seed."""
    dice = random.Random(repr(seed))  # noqa: S311  (nothing secret)
    values = [dice.gauss(0, 1) for _ in range(DIMENSIONS)]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def scope(tenant_id: str = "default", filters: dict[str, Any] | None = None, **more: Any) -> Scope:
    return Scope(tenant_id, conditions=parse_filters(filters or {}), **more)


class Shelf:
    """Puts documents into a store as the workflow does."""

    def __init__(self, store: VectorStore, staged: PostgresStagedChunks) -> None:
        self.store = store
        self.staged = staged

    def stage(self, document_id: str, texts: Sequence[str], *, generation: int = 1, tenant_id: str = "default") -> Any:
        made = Generation(owner(tenant_id, document_id), generation)
        chunks = [Chunk(number, text, "", None) for number, text in enumerate(texts)]
        self.staged.stage(made, chunks, None, MODEL)
        vectors = [direction(text) for text in texts]
        self.store.add(made, "Title", chunks, vectors)
        return made

    def put(
        self,
        document_id: str,
        *texts: str,
        generation: int = 1,
        tenant_id: str = "default",
        collection: str = "default",
        metadata: dict[str, Any] | None = None,
        dated: date = date(2026, 1, 1),
        model: str = MODEL,
    ) -> None:
        made = self.stage(document_id, texts, generation=generation, tenant_id=tenant_id)
        entry = DocumentEntry(
            generation=made,
            tenant_id=tenant_id,
            document_id=document_id,
            collection=collection,
            title="Title",
            metadata=metadata or {},
            dated=dated,
            model=model,
            dimensions=DIMENSIONS,
            chunks=len(texts),
            words=sum(len(text.split()) for text in texts),
        )
        assert self.store.activate(entry, lambda: True)
        self.store.remove(made.owner, before=generation)
        self.staged.remove(made.owner, before=generation + 1)

    def nearest(self, to: object, within: Scope | None = None, most: int = 10) -> list[str]:
        found = self.store.nearest(within or scope(), MODEL, direction(to), most)
        return [named(each.owner) for each in found]

    def matching(self, query: str, within: Scope | None = None, most: int = 10) -> list[str]:
        return [named(each.owner) for each in self.store.match_words(within or scope(), query, most)]


def named(of_texts: str) -> str:
    return of_texts.removeprefix("document_").rpartition("~")[2]


def numbered(count: int) -> Iterator[tuple[str, str]]:
    yield from ((f"d{number:05}", f"text {number}") for number in range(count))

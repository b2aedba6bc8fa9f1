"""Searches of documents: by the meaning of a query, by its words, or by both."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from activities.knowledge.embedding_calls import EmbeddingCall, EmbeddingCalls
from domain.ids import random_id
from domain.knowledge.fusion import ChunkKey, Ranked, fuse, merge
from domain.knowledge.index import ChunkHit, SearchHits, SearchRequest, VectorStore
from domain.knowledge.ports import Vector
from domain.tenant_ids import qualified

POOL = 200
"""Chunks that each of the two rankings has at most: the first pages of a search have the order of all its pages."""
MODELS_AT_ONCE = 3
"""Models whose documents one search covers: two while documents are embedded anew."""
_REMEMBERED = 2_000


@dataclass(frozen=True, slots=True)
class Searcher:
    """Who searches, for the cost ledger. `session_id` names the tenant."""

    agent_id: str
    session_id: str
    workflow_id: str
    key_id: str
    because: str
    project_id: str | None = None


def api_session(tenant_id: str) -> str:
    """Return what stands for a session in the calls that requests to the API make."""
    return f"embedding_{qualified(tenant_id, 'requests')}"


class KnowledgeSearch:
    """Searches of a store. The vectors of recent queries are kept in memory, by tenant."""

    def __init__(self, store: VectorStore, calls: EmbeddingCalls) -> None:
        self._store = store
        self._calls = calls
        self._recent: OrderedDict[tuple[str, str, str], Vector] = OrderedDict()
        self._lock = Lock()

    async def search(self, request: SearchRequest, searcher: Searcher) -> SearchHits:
        """Return the passages that fit best.

        Raises:
            domain.chat.model_port.ModelFailure: the query cannot be embedded.
            domain.errors.Unavailable: the store cannot be reached.
        """
        vectors = await self._vectors(request, searcher)
        return await asyncio.to_thread(self._find, request, vectors)

    async def _vectors(self, request: SearchRequest, searcher: Searcher) -> Mapping[str, Vector]:
        """Return the vector of the query by each model that embedded documents of the tenant, as far as it is there.

        Documents of a model that is there no longer are found by their words, until they are embedded anew.
        """
        if request.mode == "keyword":
            return {}
        models = await asyncio.to_thread(self._store.models, request.scope.tenant_id)
        there = [model for model in models if self._calls.offers(model)]
        named = sorted(there, key=lambda model: model != self._calls.default_model)[:MODELS_AT_ONCE]
        found = await asyncio.gather(*(self._vector(model, request, searcher) for model in named))
        return dict(zip(named, found, strict=True))

    async def _vector(self, model: str, request: SearchRequest, searcher: Searcher) -> Vector:
        key = (request.scope.tenant_id, model, request.query)
        with self._lock:
            if (known := self._recent.get(key)) is not None:
                self._recent.move_to_end(key)
                return known
        call = EmbeddingCall(
            call_id=random_id("call"),
            model=model,
            texts=[request.query],
            agent_id=searcher.agent_id,
            session_id=searcher.session_id,
            workflow_id=searcher.workflow_id,
            key_id=searcher.key_id,
            because=searcher.because,
            project_id=searcher.project_id,
        )
        [vector] = (await self._calls.embed(call)).embeddings.vectors
        with self._lock:
            self._recent[key] = vector
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return vector

    def _find(self, request: SearchRequest, vectors: Mapping[str, Vector]) -> SearchHits:
        scope = request.scope
        near = merge([self._store.nearest(scope, model, vector, POOL) for model, vector in vectors.items()], POOL)
        words = self._store.match_words(scope, request.query, POOL) if request.mode != "vector" else []
        match request.mode:
            case "vector":
                ranked = near
            case "keyword":
                ranked = words
            case "hybrid":
                ranked = fuse(near, words, request.fusion, request.alpha)
        page = ranked[request.skip : request.skip + request.limit]
        passages = self._store.passages([each.key for each in page], request.query)
        documents = len({each.owner for each in page}) if page else self._store.count(scope)[0]
        return SearchHits(
            passages=_present(page, passages),
            total=len(ranked),
            documents=documents,
            models=tuple(vectors),
            parts=_parts(page, near, words),
        )


def _present(page: Sequence[Ranked], passages: Mapping[ChunkKey, ChunkHit]) -> list[tuple[ChunkHit, float]]:
    """Return passages with their scores; those that were deleted meanwhile are left out."""
    return [(passages[each.key], each.score) for each in page if each.key in passages]


def _parts(
    page: Sequence[Ranked], near: Sequence[Ranked], words: Sequence[Ranked]
) -> Mapping[ChunkKey, Mapping[str, float]]:
    """Return the scores of each chunk in the rankings that it is in."""
    of_vector, of_words = ({each.key: each.score for each in ranking} for ranking in (near, words))
    return {
        each.key: {
            name: scores[each.key]
            for name, scores in (("vector", of_vector), ("keyword", of_words))
            if each.key in scores
        }
        for each in page
    }

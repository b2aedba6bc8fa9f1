"""Searches and embeddings that requests to the API make."""

from activities.knowledge.embedding_calls import EmbeddingCall, EmbeddingCalls
from activities.knowledge.search import KnowledgeSearch, Searcher, api_session
from api.http.request_context import RequestContext
from api.knowledge.schemas import EmbedAnswer, EmbedRequest, EmbedUsage, SearchAnswer, SearchBody
from api.knowledge.views import to_answer
from domain.chat.model_port import ModelFailure
from domain.errors import DomainError, Invalid, TooLarge, UpstreamFailed
from domain.ids import random_id
from domain.knowledge.filters import parse_filters
from domain.knowledge.index import Scope, SearchRequest
from domain.knowledge.policy import collection_of

AGENT = "platform"
"""Stands for an agent in the calls of requests."""


class KnowledgeQueries:
    """Answers requests for searches and embeddings."""

    def __init__(self, search: KnowledgeSearch, calls: EmbeddingCalls) -> None:
        self._search = search
        self._calls = calls

    async def search(self, body: SearchBody, request: RequestContext) -> SearchAnswer:
        """Return the chunks that fit best.

        Raises:
            Invalid: a filter or a collection is not valid.
            UpstreamFailed: the query cannot be embedded.
            Unavailable: the store cannot be reached.
        """
        tenant_id = request.caller.tenant_id
        scope = Scope(
            tenant_id,
            tuple(collection_of(name) for name in body.collections),
            tuple(body.document_ids),
            parse_filters(body.filters),
        )
        wanted = SearchRequest(body.query, scope, body.mode, body.fusion, body.alpha, body.skip, body.limit)
        session = api_session(tenant_id)
        searcher = Searcher(AGENT, session, session, request.caller.id, request.request_id)
        try:
            found = await self._search.search(wanted, searcher)
        except ModelFailure as failure:
            raise _refusal(failure) from failure
        return to_answer(wanted, found, took_ms=request.elapsed_ms())

    async def embed(self, body: EmbedRequest, request: RequestContext) -> EmbedAnswer:
        """Return the vectors of texts.

        Raises:
            Invalid: the deployment does not have the model.
            UpstreamFailed: the provider failed.
        """
        session = api_session(request.caller.tenant_id)
        call = EmbeddingCall(
            call_id=random_id("call"),
            model=body.model or self._calls.default_model,
            texts=[body.text] if isinstance(body.text, str) else body.text,
            agent_id=AGENT,
            session_id=session,
            workflow_id=session,
            key_id=request.caller.id,
            because=request.request_id,
        )
        try:
            reply = await self._calls.embed(call)
        except ModelFailure as failure:
            raise _refusal(failure) from failure
        found = reply.embeddings
        return EmbedAnswer(
            embeddings=[list(vector) for vector in found.vectors],
            model=found.model,
            dimensions=len(found.vectors[0]),
            usage=EmbedUsage(prompt_tokens=found.tokens, total_tokens=found.tokens, cost=reply.cost),
        )


def _refusal(failure: ModelFailure) -> DomainError:
    """Return the refusal that a failed call stands for, in the platform's words."""
    match failure.kind:
        case "not_found":
            reason = "the model provider does not have this model"
            return Invalid(f"model: {reason}", field="model", reason=reason)
        case "too_long":
            return TooLarge("a text is longer than the embedding model takes", field="text")
        case _:
            return UpstreamFailed("the embedding model failed; the cost ledger has the call", kind=failure.kind)

"""The documents that an agent may search: of its tenant, of itself and of its project, or those it is bound to."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from activities.knowledge.search import KnowledgeSearch, Searcher
from domain.chat.model_port import ModelFailure
from domain.errors import Invalid, UpstreamFailed
from domain.knowledge.filters import parse_filters
from domain.knowledge.index import Scope, SearchRequest
from domain.knowledge.policy import DEFAULT_COLLECTION, agent_collection, project_collection
from domain.tools.ports import Passage, SearchResult, ToolContext, ToolFailed

BoundCollections = Callable[[str, str], Sequence[str]]
"""Returns the collections that an agent of a tenant is bound to; none if it is not bound."""


class AgentKnowledge:
    """`domain.tools.ports.Knowledge` over the search of documents."""

    def __init__(self, search: KnowledgeSearch, bound: BoundCollections) -> None:
        self._search = search
        self._bound = bound

    async def search(self, query: str, *, limit: int, filters: Mapping[str, Any], context: ToolContext) -> SearchResult:
        try:
            conditions = parse_filters(filters)
        except Invalid as refused:
            raise ToolFailed(f"The filters are not valid: {refused.message}.") from refused
        collections = await asyncio.to_thread(self._collections, context)
        scope = Scope(context.tenant_id, collections, conditions=conditions)
        request = SearchRequest(query, scope, limit=limit)
        try:
            found = await self._search.search(request, _searcher(context))
        except (ModelFailure, UpstreamFailed) as failure:
            raise ToolFailed("The knowledge store cannot embed the query now. Say so if you answer without it.") from (
                failure
            )
        passages = tuple(
            Passage(
                passage.document_id,
                passage.title,
                passage.text,
                score,
                passage.metadata,
                passage.number,
                passage.page,
            )
            for passage, score in found.passages
        )
        return SearchResult(passages, found.documents)

    def _collections(self, context: ToolContext) -> tuple[str, ...]:
        if bound := self._bound(context.tenant_id, context.agent_id):
            return tuple(bound)
        own = [DEFAULT_COLLECTION, agent_collection(context.agent_id)]
        if context.project_id is not None:
            own.append(project_collection(context.project_id))
        return tuple(own)


def _searcher(context: ToolContext) -> Searcher:
    return Searcher(
        agent_id=context.agent_id,
        session_id=context.session_id,
        workflow_id=context.workflow_id,
        key_id=context.key_id,
        because=context.tool_call_id,
        project_id=context.project_id,
    )

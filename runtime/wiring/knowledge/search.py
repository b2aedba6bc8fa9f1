"""Composes what searches documents: the embedding models, their booked calls, the store, and the search of agents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.costs.bookkeeping import CostLedger
from activities.knowledge.agent_knowledge import AgentKnowledge
from activities.knowledge.embedding_calls import EmbeddingCalls
from activities.knowledge.search import KnowledgeSearch
from adapters.embeddings.models import EmbeddingModels
from adapters.postgres.agents import PostgresAgents
from adapters.postgres.knowledge.chunks import PgvectorStore
from adapters.postgres.knowledge.documents import PostgresDocuments
from adapters.postgres.knowledge.staging import PostgresStagedChunks
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from domain.costs.ports import Prices
from domain.errors import NotFound
from domain.knowledge.index import VectorStore
from domain.ledger import Ledger
from runtime.settings import Settings
from runtime.wiring.model_provider import provider


@dataclass(frozen=True, slots=True)
class KnowledgeParts:
    """The parts of knowledge in a process."""

    models: EmbeddingModels
    calls: EmbeddingCalls
    store: VectorStore
    staged: PostgresStagedChunks
    documents: PostgresDocuments
    search: KnowledgeSearch
    of_agents: AgentKnowledge


def make_knowledge(
    settings: Settings,
    database: Database,
    ledger: Ledger,
    content: PostgresContent,
    *,
    prices: Prices,
    now: Callable[[], datetime],
) -> KnowledgeParts:
    """Return the parts. No model is loaded and nothing is connected before it is needed."""
    named = provider(settings)
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    models = EmbeddingModels(named.url, key, settings.embedding_model, takes_any=named.name != "local")
    calls = EmbeddingCalls(CostLedger(ledger, prices, now), models, content, now)
    store = PgvectorStore(database)
    search = KnowledgeSearch(store, calls)
    return KnowledgeParts(
        models=models,
        calls=calls,
        store=store,
        staged=PostgresStagedChunks(database),
        documents=PostgresDocuments(database),
        search=search,
        of_agents=AgentKnowledge(search, _bound_collections(PostgresAgents(database))),
    )


def _bound_collections(agents: PostgresAgents) -> Callable[[str, str], Sequence[str]]:
    def bound(tenant_id: str, agent_id: str) -> Sequence[str]:
        try:
            row = agents.get(tenant_id, agent_id)
            version = row.deployed_version or row.newest_version
            return agents.definition(row.tenant_id, row.id, version).collections
        except NotFound:  # it was removed while it was at work
            return ()

    return bound

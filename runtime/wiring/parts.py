"""The composition root: picks the adapters and composes the parts of all processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

from activities.tools.toolbox.registry import JoinedToolbox
from adapters.files.agents import load_agent_files
from adapters.files.risk_policy import load_risk_policy
from adapters.files.workflows import load_workflow_files
from adapters.gguf import model_name
from adapters.local_model import MODEL_NAME
from adapters.memory.keys import MemoryKeys
from adapters.memory.rate_limit import MemoryRateLimit
from adapters.memory.recent_content import RecentContent
from adapters.no_model import NoModel
from adapters.openai.model import OpenAIModel
from adapters.postgres.agent_directory import PostgresAgentDirectory
from adapters.postgres.agents import PostgresAgents
from adapters.postgres.ali import PostgresAli
from adapters.postgres.approvals import PostgresApprovals
from adapters.postgres.audit import PostgresAudit
from adapters.postgres.chat import PostgresAdmission, PostgresChats
from adapters.postgres.components import PostgresComponents
from adapters.postgres.costs import PostgresCosts
from adapters.postgres.executions import PostgresRuns
from adapters.postgres.idempotency import PostgresAnswers
from adapters.postgres.instructions import PostgresInstructions
from adapters.postgres.ledger.content import PostgresContent
from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.positions import LivePositions
from adapters.postgres.schedules import PostgresSchedules
from adapters.postgres.signatures.exports import PostgresExports
from adapters.postgres.signatures.settled_answers import PostgresSettledAnswers
from adapters.postgres.swarm import PostgresSwarms
from adapters.postgres.tools import PostgresTools
from adapters.postgres.workflows import PostgresWorkflows
from adapters.redis.live.publisher import RedisLivePublisher
from adapters.redis.rate_limit import RedisRateLimit
from adapters.routed_model import RoutedModel
from adapters.web.webhooks import HttpWebhooks
from api.http.api_keys import ADMIN, METRICS, key_hash
from domain.agents.definition import AgentDefinition
from domain.agents.ports import ModelCatalogue
from domain.approvals.rules import RiskPolicy
from domain.costs.operator_prices import OperatorPrices
from domain.events import EventRegistry
from domain.governance.ports import NoRateLimit
from domain.graphflow.definition.model import Definition
from domain.keys.ports import StoredKey
from domain.ledger import Ledger
from domain.live.ports import NO_PUBLISHER, LivePublisher
from domain.providers.table import ProviderTable
from domain.registry import event_registry
from runtime.settings import Settings
from runtime.wiring.knowledge.search import KnowledgeParts, make_knowledge
from runtime.wiring.model_provider import (
    Provider,
    make_catalogue,
    make_model,
    make_prices,
    provider,
    provider_table,
    providers,
)
from runtime.wiring.signatures import Signatures, make_signatures
from runtime.wiring.toolbox import make_toolbox

AGENT_FILES = Path(__file__).parents[2] / "agents"
WORKFLOW_FILES = Path(__file__).parents[2] / "domain/graphflow/readymade"


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a process, on one database."""

    registry: EventRegistry
    database: Database
    exports: PostgresExports
    ledger: Ledger
    content: PostgresContent
    recent: RecentContent
    agents: PostgresAgents
    directory: PostgresAgentDirectory
    ali: PostgresAli
    admission: PostgresAdmission
    approvals: PostgresApprovals
    audit: PostgresAudit
    chats: PostgresChats
    components: PostgresComponents
    costs: PostgresCosts
    instructions: PostgresInstructions
    knowledge: KnowledgeParts
    live: LivePublisher
    runs: PostgresRuns
    settled: PostgresSettledAnswers
    schedules: PostgresSchedules
    swarms: PostgresSwarms
    prices: OperatorPrices
    provider: Provider
    providers: tuple[Provider, ...]
    table: ProviderTable
    model: OpenAIModel | RoutedModel | NoModel
    toolbox: JoinedToolbox
    tools: PostgresTools
    risks: RiskPolicy
    signatures: Signatures
    webhooks: HttpWebhooks | None
    workflows: PostgresWorkflows


def make_parts(settings: Settings, *, connections: int = 8) -> Parts:
    """Build all but the Temporal client. Open `database` before use; close it, `live`, `model` and `toolbox` last."""
    events, database = event_registry(), Database(settings.database_url or "", size=connections)
    content = PostgresContent(database)
    recent = RecentContent(content, settings.text_cache_s)
    ledger = Ledger(LedgerRecorder(database, recent.cache), events)
    prices = OperatorPrices(ledger, make_prices(settings, _local_model(settings)), now)
    knowledge = make_knowledge(settings, database, ledger, content, prices=prices, now=now)
    return Parts(
        registry=events,
        database=database,
        exports=PostgresExports(database),
        ledger=ledger,
        content=content,
        recent=recent,
        agents=PostgresAgents(database),
        directory=PostgresAgentDirectory(database),
        ali=PostgresAli(database),
        admission=PostgresAdmission(database, events),
        approvals=PostgresApprovals(database),
        audit=PostgresAudit(database),
        chats=PostgresChats(database),
        components=PostgresComponents(database),
        costs=PostgresCosts(database),
        instructions=PostgresInstructions(database),
        knowledge=knowledge,
        live=_publisher(settings),
        runs=PostgresRuns(database),
        settled=PostgresSettledAnswers(database, events),
        schedules=PostgresSchedules(database),
        swarms=PostgresSwarms(database),
        prices=prices,
        provider=provider(settings),
        providers=providers(settings),
        table=provider_table(settings),
        model=make_model(settings),
        toolbox=make_toolbox(settings, database, now, knowledge.of_agents),
        tools=PostgresTools(database),
        risks=load_risk_policy(settings.risk_policy),
        signatures=make_signatures(settings, ledger, database, now),
        webhooks=_webhooks(settings),
        workflows=PostgresWorkflows(database),
    )


def _local_model(settings: Settings) -> str:
    """The name of the model that `convergio model` serves."""
    return model_name(settings.local_model) if settings.local_model else MODEL_NAME


def _publisher(settings: Settings) -> LivePublisher:
    is_wanted = settings.redis_url is not None and settings.stream_answers
    return RedisLivePublisher.connect(settings.redis_url or "") if is_wanted else NO_PUBLISHER


def _webhooks(settings: Settings) -> HttpWebhooks | None:
    url, secret = settings.approval_webhook_url, settings.approval_webhook_secret
    return HttpWebhooks(url, secret.get_secret_value(), now) if url and secret else None


def make_model_catalogue(settings: Settings, parts: Parts) -> ModelCatalogue:
    """Return the models that agents may name."""
    return make_catalogue(settings, parts.prices, now)


def make_rate_limiter(settings: Settings) -> RedisRateLimit | NoRateLimit:
    """Return the buckets in Valkey, or the null object if the limit is off."""
    if settings.rate_limit is None:
        return NoRateLimit()
    requests, seconds = settings.rate_limit
    return RedisRateLimit.connect(settings.redis_url or "", requests=requests, seconds=seconds)


def make_fallback_limiter(settings: Settings) -> MemoryRateLimit | NoRateLimit:
    """Return the buckets of this process, for use while those in Valkey cannot be reached."""
    if settings.rate_limit is None:
        return NoRateLimit()
    requests, seconds = settings.rate_limit
    return MemoryRateLimit(requests=requests, seconds=seconds)


def make_answer_store(parts: Parts) -> PostgresAnswers:
    """Return the store of answers to requests with an idempotency key."""
    return PostgresAnswers(parts.database)


def keys(settings: Settings, more: Mapping[bytes, StoredKey] | None = None) -> MemoryKeys:
    """The keys that the settings name, both of the tenant `default`; and `more`, by their hashes."""
    named = ((settings.admin_key, ADMIN), (settings.metrics_key, METRICS))
    known = {key_hash(key.get_secret_value()): stored for key, stored in named if key is not None}
    return MemoryKeys({**known, **(more or {})})


def make_positions(parts: Parts) -> LivePositions:
    """Return the positions of the projections, kept current by database notifications."""
    return LivePositions(parts.database.dsn, parts.database)


@cache
def agent_files() -> tuple[AgentDefinition, ...]:
    """Return the agents that the registry is seeded with."""
    return tuple(load_agent_files(AGENT_FILES))


@cache
def workflow_files() -> Mapping[str, Definition]:
    """Return the ready-made workflows, by their ids."""
    return MappingProxyType(load_workflow_files(WORKFLOW_FILES))


def now() -> datetime:
    return datetime.now(UTC)

"""Composes the workflows and activities of each task queue on the parts of this deployment."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from temporalio.client import Client

from activities.approvals.activities import ApprovalActivities
from activities.chat.activities import ChatActivities
from activities.chat.approval_hold import TurnHoldActivities
from activities.chat.delegation import DelegationActivities
from activities.chat.history import ChatHistory
from activities.chat.model_step import ModelStepActivities
from activities.chat.summary import SummaryActivities
from activities.chat.tool_offers import ToolOffers
from activities.costs.alert_evaluation import CostAlertActivities
from activities.costs.allowance import AllowanceActivities
from activities.costs.bookkeeping import CostLedger
from activities.costs.model_call import ModelCalls
from activities.graphflow.agent_node import AgentNodeActivities
from activities.graphflow.context import GraphParts, graph_parts
from activities.graphflow.execution_activities import RunActivities
from activities.graphflow.node_activities import NodeActivities
from activities.reconcile.activities import ReconcileActivities
from activities.reconcile.executions import RunReconciler
from activities.reconcile.swarms import SwarmReconciler
from activities.swarm.activities import SwarmActivities
from activities.tools.activities import ToolActivities
from adapters.postgres.billing.cost_alerts import PostgresCostAlerts
from domain.approvals import policy_record
from runtime.memory import cached_runs
from runtime.sandbox import QuickSandbox
from runtime.settings import Settings
from runtime.wiring.admission import make_admission
from runtime.wiring.erasures import erasure_activities
from runtime.wiring.governance import objective_activities
from runtime.wiring.knowledge.documents import ingest_activities
from runtime.wiring.knowledge.upkeep import document_reconciler
from runtime.wiring.model_provider import Provider
from runtime.wiring.parts import Parts, now
from runtime.wiring.runbooks import runbook_activities
from runtime.wiring.schedules import schedule_activities
from runtime.wiring.telemetry import telemetry_activities
from runtime.wiring.tracing import traced_model, traced_toolbox
from workflows.approvals.start import start_approval
from workflows.approvals.workflow import ApprovalWorkflow
from workflows.chat.workflow import ChatWorkflow
from workflows.erasures.retention import RetentionWorkflow
from workflows.erasures.workflow import ErasureWorkflow
from workflows.graphflow.map_node import GraphItemsWorkflow
from workflows.graphflow.workflow import GraphWorkflow
from workflows.knowledge.workflow import IngestWorkflow
from workflows.reconcile.workflow import ReconcileWorkflow
from workflows.runbooks.workflow import RunbookWorkflow
from workflows.schedules.workflow import ScheduleFiringWorkflow
from workflows.swarm.workflow import SwarmWorkflow
from workflows.task_queues import IO_QUEUE, WORKFLOW_QUEUE, model_queue

Activities = list[Callable[..., object]]

SHORT_AT_ONCE = 100
"""Limit on concurrent short activities of a worker, apart from its model calls."""
LOCAL_AT_ONCE = 100
TOOLS_AT_ONCE = 100
WORKFLOWS: Final = (
    ChatWorkflow,
    ApprovalWorkflow,
    ErasureWorkflow,
    GraphItemsWorkflow,
    GraphWorkflow,
    IngestWorkflow,
    ReconcileWorkflow,
    RetentionWorkflow,
    RunbookWorkflow,
    ScheduleFiringWorkflow,
    SwarmWorkflow,
)


def worker_options(
    settings: Settings,
    client: Client,
    parts: Parts,
    run_made: Callable[[], None] = lambda: None,
    queues: Collection[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Return the options of `temporalio.worker.Worker` by task queue.

    `run_made` is called for each execution put into the worker's cache. Calls can be sent to the task queues of
    providers that are among `queues`: all of them with None.
    """
    own = model_queue(parts.provider.name)
    model_queues = {each.name: model_queue(each.name) for each in parts.providers}
    books = CostLedger(parts.ledger, parts.prices, now)
    graphs = graph_parts(parts.ledger, parts.recent, now, signer=parts.signatures.signer)
    model = model_activities(settings, parts, graphs, books, queues)
    flow = _flow_activities(
        parts, graphs, client, books, calls_on=WORKFLOW_QUEUE if settings.model_queue == "shared" else own
    )
    tools = ToolActivities(parts.ledger, parts.content, traced_toolbox(settings, parts), now).all()
    flow_slots = settings.model_concurrency + SHORT_AT_ONCE
    return {
        WORKFLOW_QUEUE: {
            "workflows": WORKFLOWS,
            "activities": [*flow, *model, *_platform_activities(settings, parts, client)],
            "activity_executor": ThreadPoolExecutor(flow_slots + LOCAL_AT_ONCE, "ledger"),
            "max_concurrent_activities": flow_slots,
            "max_concurrent_local_activities": LOCAL_AT_ONCE,
            "max_cached_workflows": cached_runs(settings.run_cache_mb),
            "workflow_runner": QuickSandbox(run_made),
        },
        **{
            model_queues[each.name]: {"activities": model, "max_concurrent_activities": _calls_at_once(settings, each)}
            for each in parts.providers
        },
        IO_QUEUE: {
            "activities": [*tools, *ingest_activities(parts)],
            "activity_executor": ThreadPoolExecutor(TOOLS_AT_ONCE, "tools"),
            "max_concurrent_activities": TOOLS_AT_ONCE,
        },
    }


def _platform_activities(settings: Settings, parts: Parts, client: Client) -> Activities:
    """Return the short activities of the platform's own work."""
    return [
        *schedule_activities(settings, parts, client),
        *erasure_activities(settings, parts, client),
        *runbook_activities(settings, parts, client),
        *objective_activities(settings, parts),
        *telemetry_activities(settings, parts),
        *document_reconciler(parts, client),
    ]


def _flow_activities(
    parts: Parts, graphs: GraphParts, client: Client, books: CostLedger, *, calls_on: str
) -> Activities:
    """Return the short activities on the ledger. Model calls go to the queue `calls_on`."""
    chat = ChatActivities(parts.ledger, now, model_queue=calls_on)
    swarm = SwarmActivities(parts.ledger, parts.content, now, model_queue=calls_on, signer=parts.signatures.signer)
    reconcile = ReconcileActivities(books, chat, costs=parts.costs, chats=parts.chats, client=client, now=now)
    approvals = ApprovalActivities(
        parts.ledger,
        parts.instructions,
        parts.content,
        partial(policy_record.policy_in_force, parts.ledger),
        now,
        start=partial(start_approval, client),
        webhooks=parts.webhooks,
        signer=parts.signatures.signer,
    )
    return [
        *chat.all(),
        *TurnHoldActivities(parts.ledger, now, parts.signatures.signer).all(),
        *DelegationActivities(parts.content, parts.agents).all(),
        *approvals.all(),
        *AllowanceActivities(parts.ledger, parts.content, now).all(),
        *CostAlertActivities(parts.ledger, PostgresCostAlerts(parts.database), now).all(),
        *swarm.all(),
        *_graph_activities(parts, graphs, client, calls_on),
        *SwarmReconciler(swarm, parts.swarms, client, now).all(),
        *reconcile.all(),
    ]


def _graph_activities(parts: Parts, graphs: GraphParts, client: Client, calls_on: str) -> Activities:
    """Return the activities of workflow executions and their nodes."""
    runs = RunActivities(parts.directory, parts.toolbox, now, parts=graphs, model_queue=calls_on)
    nodes = NodeActivities(graphs, parts.toolbox, now)
    return [*runs.all(), *nodes.all(), *RunReconciler(graphs.journal, parts.runs, client, now).all()]


def _calls_at_once(settings: Settings, named: Provider) -> int:
    return min(settings.model_concurrency, named.limits.concurrency or settings.model_concurrency)


def model_activities(
    settings: Settings, parts: Parts, graphs: GraphParts, books: CostLedger, queues: Collection[str] | None = None
) -> Activities:
    """Return the activities that call a model. `queues` are the task queues that this worker serves: all with None."""
    memory = ChatHistory(parts.ledger, parts.content, parts.agents, recent=parts.recent)
    calls = ModelCalls(
        books,
        traced_model(settings, parts),
        now,
        timeout=settings.answer_time,
        timeouts=settings.answer_times,
        admission=make_admission(settings, parts, queues),
        table=parts.table,
        live=parts.live,
    )
    thinking = ModelStepActivities(
        memory,
        parts.recent,
        books,
        calls,
        offers=ToolOffers(parts.toolbox, graphs.plans.shape),
        now=now,
        default_model=parts.model.default,
        max_answer_tokens=parts.provider.max_answer_tokens,
        answer_share=parts.provider.answer_share,
        signer=parts.signatures.signer,
    )
    summarising = SummaryActivities(memory, calls, now, default_model=parts.model.default)
    return [*thinking.all(), *summarising.all(), *AgentNodeActivities(thinking, graphs).all()]

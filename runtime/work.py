"""A process of work: workflows, their activities, and the calls to the model provider."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from activities.books import Books
from activities.calls import Calls
from activities.chat import ChatActivities
from activities.deciding import ApprovalActivities
from activities.delegation import Delegating
from activities.holding import HoldingActivities
from activities.interceptor import RefusalInterceptor
from activities.lost_swarms import LostSwarms
from activities.memory import Memory
from activities.offers import Offers
from activities.reconcile import ReconcileActivities
from activities.summarising import Summarising
from activities.swarm import SwarmActivities
from activities.thinking import Thinking
from activities.tools import ToolActivities
from domain.errors import Invalid
from runtime import temporal
from runtime.bootstrap import Parts, make_parts, now
from runtime.loops import freeze, quick_loop, stop_on_signals
from runtime.readiness import announce_ready
from runtime.sandbox import QuickSandbox
from runtime.settings import Settings
from workflows.approval import Approval
from workflows.approval_start import start_approval
from workflows.chat import AgentChat
from workflows.queues import FLOW, IO, model_queue
from workflows.reconcile import Reconcile
from workflows.swarm import Swarm

THREADS = 16
GRACE = timedelta(seconds=60)
"""How long a stopping worker waits for what it has begun."""
STICKY = timedelta(seconds=2)
THROTTLE = timedelta(seconds=1)


def workers(settings: Settings, client: Client, parts: Parts, queues: Sequence[str] | None) -> list[Worker]:
    """A worker for each task queue that is wanted; for all of them with None.

    Raises:
        Invalid: there is no such queue.
    """
    own = model_queue(parts.provider.name)
    books = Books(parts.ledger, parts.prices, now)
    calls_on = FLOW if settings.model_queue == "shared" else own
    chat = ChatActivities(parts.ledger, now, model_queue=calls_on)
    swarm = SwarmActivities(parts.ledger, parts.content, now, model_queue=calls_on)
    swarms = [*swarm.all(), *LostSwarms(swarm, parts.swarms, client, now).all()]
    reconcile = ReconcileActivities(books, chat, costs=parts.costs, chats=parts.chats, client=client, now=now)
    calls_models = _model_activities(settings, parts, books)
    turns = [*HoldingActivities(parts.ledger, now).all(), *Delegating(parts.content, parts.agents).all()]
    approvals = ApprovalActivities(
        parts.ledger, parts.content, parts.risks, now, start=partial(start_approval, client), webhooks=parts.webhooks
    )
    tools = ToolActivities(parts.ledger, parts.content, parts.toolbox, now)
    offered: dict[str, dict[str, Any]] = {
        FLOW: {
            "workflows": [AgentChat, Approval, Reconcile, Swarm],
            "activities": [*chat.all(), *turns, *approvals.all(), *swarms, *reconcile.all(), *calls_models],
            "activity_executor": ThreadPoolExecutor(settings.model_concurrency, "ledger"),
            "workflow_runner": QuickSandbox(),
        },
        own: {"activities": calls_models},
        IO: {"activities": tools.all(), "activity_executor": ThreadPoolExecutor(settings.model_concurrency, "tools")},
    }
    wanted = queues or tuple(offered)
    if unknown := sorted(set(wanted) - set(offered)):
        raise Invalid(f"no such queue: {', '.join(unknown)}; there are {', '.join(offered)}")
    return [_worker(settings, client, queue, offered[queue]) for queue in wanted]


def _model_activities(settings: Settings, parts: Parts, books: Books) -> list[Callable[..., object]]:
    memory = Memory(parts.ledger, parts.content, parts.agents)
    calls = Calls(books, parts.model, now, timeout=timedelta(seconds=settings.model_timeout_s))
    thinking = Thinking(
        memory,
        parts.content,
        books,
        calls,
        offers=Offers(parts.toolbox),
        now=now,
        default_model=parts.model.default,
        max_answer_tokens=parts.provider.max_answer_tokens,
    )
    return [*thinking.all(), *Summarising(memory, calls, now, default_model=parts.model.default).all()]


def _worker(settings: Settings, client: Client, queue: str, offer: dict[str, Any]) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        max_concurrent_activities=settings.model_concurrency,
        interceptors=[RefusalInterceptor()],
        graceful_shutdown_timeout=GRACE,
        sticky_queue_schedule_to_start_timeout=STICKY,
        max_heartbeat_throttle_interval=THROTTLE,
        default_heartbeat_throttle_interval=THROTTLE,
        deployment_config=_deployment(settings),
        **offer,
    )


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """Worker versioning, where the operator has named a version: without a current one no worker gets a task."""
    if settings.deployment_version is None:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion("convergio", settings.deployment_version),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def work(all_workers: Sequence[Worker], stop: asyncio.Event) -> None:
    """Run the workers until `stop` is set, then let them finish what they have begun."""
    running = [asyncio.create_task(worker.run()) for worker in all_workers]
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait([*running, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in all_workers))
    await asyncio.gather(*running)


def run_worker(settings: Settings, queues: Sequence[str] | None) -> None:
    """The process `convergio worker`."""
    with quick_loop() as runner:
        runner.run(_run(settings, queues))


async def _run(settings: Settings, queues: Sequence[str] | None) -> None:
    stop = stop_on_signals()
    parts = make_parts(settings, connections=THREADS)
    parts.database.open()
    try:
        client = await temporal.connect(settings)
        running = workers(settings, client, parts, queues)
        freeze()
        announce_ready(settings.ready_file)
        structlog.get_logger("worker").info("working", queues=[worker.task_queue for worker in running])
        await work(running, stop)
    finally:
        await parts.toolbox.aclose()
        await parts.model.aclose()
        parts.database.close()

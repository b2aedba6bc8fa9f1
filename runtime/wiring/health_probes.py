"""Probes of all servers, for `/health`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

from redis.asyncio import Redis
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from activities.tools.toolbox.registry import JoinedToolbox
from adapters.postgres.ledger.pool import Database
from adapters.postgres.monitoring.circuits import PostgresCircuits
from adapters.postgres.monitoring.platform_figures import PostgresPlatformFigures
from adapters.postgres.projections.positions import LivePositions
from adapters.routed_model import RoutedModel
from api.health.service import Probes
from domain.health.figures import QueueBacklog
from domain.health.ports import CircuitHealth, Probe, ToolServerHealth
from runtime.settings import Settings
from runtime.wiring.parts import Parts, now
from workflows.task_queues import IO_QUEUE, WORKFLOW_QUEUE, model_queue

_PATIENCE = timedelta(seconds=2)
_CALLED_LATELY = timedelta(minutes=10)
_KINDS = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}


def make_probes(settings: Settings, parts: Parts, client: Client, live: LivePositions) -> Probes:
    """Return all probes of an API process."""
    figures = PostgresPlatformFigures(parts.database)
    queues = (WORKFLOW_QUEUE, IO_QUEUE, *(model_queue(each.name) for each in parts.providers))
    return Probes(
        servers(settings, parts, client),
        live.states,
        partial(tool_servers, parts.toolbox),
        parts.model.probes if isinstance(parts.model, RoutedModel) else _only_probe(parts),
        partial(open_circuits, PostgresCircuits(parts.database)),
        partial(asyncio.to_thread, figures.read),
        partial(task_queues, client, queues),
    )


def _only_probe(parts: Parts) -> Mapping[str, Probe]:
    return {parts.provider.name: parts.model.probe} if parts.provider.url is not None else {}


async def open_circuits(circuits: PostgresCircuits) -> Sequence[CircuitHealth]:
    """Return the circuits that are not closed, of models that were called lately."""
    found = await asyncio.to_thread(circuits.open_circuits, now() - _CALLED_LATELY)
    return [
        CircuitHealth(each.provider, each.model, each.state, each.opened_at, each.retry_at, each.error)
        for each in found
        if each.state != "closed"
    ]


def servers(settings: Settings, parts: Parts, client: Client) -> Mapping[str, Probe]:
    """Return the probes by name; a server that is not configured is absent."""
    found: dict[str, Callable[[], Awaitable[object]]] = {
        "database": lambda: asyncio.to_thread(_ask, parts.database, b"SELECT 1"),
        "vector_store": lambda: asyncio.to_thread(_ask, parts.database, b"SELECT '[1,2]'::vector <-> '[2,1]'::vector"),
        "temporal": lambda: client.count_workflows("", rpc_timeout=_PATIENCE),
    }
    if settings.redis_url is not None:
        url = settings.redis_url
        found["redis"] = lambda: _ping(url)
    return found


async def task_queues(client: Client, queues: Sequence[str]) -> Sequence[QueueBacklog]:
    """Return the state of task queues, by name and kind of tasks."""
    asked = [_describe(client, queue, kind) for queue in queues for kind in _KINDS]
    return await asyncio.gather(*asked)


async def _describe(client: Client, queue: str, kind: str) -> QueueBacklog:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=_KINDS[kind],
        report_stats=True,
    )
    found = await client.workflow_service.describe_task_queue(request, timeout=_PATIENCE)
    stats = found.stats
    oldest = stats.approximate_backlog_age.ToTimedelta().total_seconds() if stats.approximate_backlog_count else 0.0
    return QueueBacklog(queue, kind, stats.approximate_backlog_count, oldest, len(found.pollers))


async def tool_servers(toolbox: JoinedToolbox) -> Sequence[ToolServerHealth]:
    """Return the health of every MCP server, as this process sees it."""
    statuses = await toolbox.source_statuses()
    return [
        ToolServerHealth(each.name, each.problem is None, len(each.tools), tuple(each.quarantined)) for each in statuses
    ]


def _ask(database: Database, question: bytes) -> None:
    with database.connection() as connection:
        connection.execute(question)


async def _ping(url: str) -> None:
    async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        await client.ping()

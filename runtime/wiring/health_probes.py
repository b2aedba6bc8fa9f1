"""Probes of all servers, for `/health`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from redis.asyncio import Redis
from temporalio.client import Client

from activities.tools.toolbox.registry import JoinedToolbox
from adapters.postgres.ledger.pool import Database
from domain.health.ports import Probe, ToolServerHealth
from runtime.settings import Settings
from runtime.wiring.parts import Parts

_PATIENCE = timedelta(seconds=2)


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
    if parts.provider.url is not None:
        found["llm"] = parts.model.probe
    return found


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

"""Routes of WebSockets."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.websockets import WebSocket

from api.analytics.service import AnalyticsService
from api.chat.schemas import SESSION_ID
from api.chat.service import ChatService
from api.graphflow.paths import RUN_ID
from api.http.caller import Caller
from api.http.dependencies import requires
from api.http.request_context import from_scope
from api.http.schemas import MAX_INT
from api.live.access import CallerWatch
from api.live.agent_socket import AgentConversation, AgentSocketRequest
from api.live.feeds import StreamPart
from api.live.metrics_socket import show_figures
from api.live.service import LiveStreams, WatchedStream
from api.live.sockets import Socket, SocketCount, refuse_frames
from domain.agents.ports import AgentReads
from domain.analytics.windows import WindowRequest
from domain.errors import Invalid, NotFound
from domain.ids import is_reserved

_ALIVE_S = 3600.0  # the server's own pings keep a socket alive
_NUMBER = re.compile(r"[0-9]{1,18}")
_SESSION = re.compile(SESSION_ID)
_RUN = re.compile(RUN_ID)
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class SocketServices:
    """What the sockets call."""

    streams: LiveStreams
    chats: ChatService
    agents: AgentReads
    analytics: AnalyticsService
    watch: CallerWatch
    sockets: SocketCount


def router(services: SocketServices) -> APIRouter:
    """Build the routes `/ws/agents/{agent_id}`, `/ws/metrics` and `/ws/workflows/{workflow_id}`."""
    routes = APIRouter(prefix="/ws")
    _add_agent_socket(routes, services)
    _add_watching_sockets(routes, services)
    return routes


def _add_agent_socket(routes: APIRouter, services: SocketServices) -> None:
    @routes.websocket("/agents/{agent_id}", dependencies=[requires("write")])
    async def talk(connection: WebSocket, agent_id: str) -> None:
        """Messages to an agent, and the frames of the session in which they are answered."""
        caller = _caller(connection)
        _refuse_odd(agent_id, _NAME, "agent_id")
        await asyncio.to_thread(services.agents.get, caller.tenant_id, agent_id)
        session_id = _parameter(connection, "session_id", _SESSION)
        if session_id is not None and is_reserved(session_id):
            raise Invalid("session_id begins with a prefix that is reserved", field="session_id")
        asked = AgentSocketRequest(
            agent_id,
            session_id,
            _after(connection),
            caller,
            from_scope(connection.scope).request_id,
        )
        async with _count_socket(services):
            socket = Socket(connection, services.watch)
            conversation = AgentConversation(socket, asked, services.streams, services.chats)
            await socket.serve(conversation.handle, conversation.send_messages(), conversation.show_frames())


def _add_watching_sockets(routes: APIRouter, services: SocketServices) -> None:
    @routes.websocket("/metrics", dependencies=[requires("read")])
    async def metrics(connection: WebSocket) -> None:
        """The figures of the caller's tenant, as on the dashboard of the last 30 days."""
        tenant_id = _caller(connection).tenant_id

        def read() -> dict[str, object]:
            return services.analytics.dashboard(tenant_id, WindowRequest("30d", None, None, "UTC")).model_dump(
                mode="json"
            )

        async with _count_socket(services):
            socket = Socket(connection, services.watch)
            await socket.serve(refuse_frames, show_figures(socket, read))

    @routes.websocket("/workflows/{workflow_id}", dependencies=[requires("read")])
    async def execution(connection: WebSocket, workflow_id: str) -> None:
        """The states of an execution's nodes as they change."""
        tenant_id = _caller(connection).tenant_id
        if not _NAME.fullmatch(workflow_id):
            raise NotFound("there is no such workflow")
        wanted = _parameter(connection, "execution_id", _RUN)
        stream = await services.streams.execution(workflow_id, wanted, tenant_id)
        after = _after(connection) or 0
        async with _count_socket(services):
            socket = Socket(connection, services.watch)
            await socket.serve(refuse_frames, _show(socket, stream, after))


async def _show(socket: Socket, stream: WatchedStream, after: int) -> None:
    async for batch in stream.batches(StreamPart(after, follow=True, pause_s=_ALIVE_S)):
        await socket.send_batch(batch)


@asynccontextmanager
async def _count_socket(services: SocketServices) -> AsyncIterator[None]:
    services.sockets.enter()
    try:
        yield
    finally:
        services.sockets.leave()


def _caller(connection: WebSocket) -> Caller:
    return from_scope(connection.scope).caller


def _after(connection: WebSocket) -> int | None:
    given = connection.query_params.get("after")
    if given is None:
        return None
    if not _NUMBER.fullmatch(given) or int(given) > MAX_INT:
        raise Invalid("after is not the number of a frame", field="after")
    return int(given)


def _parameter(connection: WebSocket, name: str, pattern: re.Pattern[str]) -> str | None:
    given = connection.query_params.get(name)
    if given is not None:
        _refuse_odd(given, pattern, name)
    return given


def _refuse_odd(given: str, pattern: re.Pattern[str], name: str) -> None:
    if len(given) > 128 or not pattern.fullmatch(given):  # noqa: PLR2004  (as ids of REST)
        raise Invalid(f"{name} is not a valid id", field=name)

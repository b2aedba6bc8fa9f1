"""One MCP server's connection: made when it is needed, kept by a task of its own, made again when it is lost."""

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import structlog
from mcp import Client, Implementation, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST

from adapters.mcp.config import McpServer
from adapters.mcp.tool_listing import Quarantine, ToolListing

T = TypeVar("T")

CONNECT_TIMEOUT_S = 30.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_FAREWELL_S = 10.0
_GUARD = str(Path(__file__).with_name("process_guard.py"))
_SESSION = "mcp-session-id"
_SESSION_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NO_SESSION = "Session terminated"
"""How the SDK tells a 404 to a request of a session, where the answer has no words of its own."""


class Away(Exception):  # noqa: N818  (a state, not a fault of ours)
    """There is no connection, so nothing was sent."""


class Lost(Exception):  # noqa: N818  (the same)
    """The connection broke while something was under way."""


class _Forgotten(Exception):  # noqa: N818  (the same)
    """The server does not know the session, so nothing was done."""


class McpConnection:
    """Connects to one server. Its methods belong to one event loop; after a failure it rests for a while."""

    def __init__(self, name: str, server: McpServer, quarantine: Quarantine = lambda _, __: None) -> None:
        """`quarantine` is told of each tool in a list that cannot be read, and why."""
        self._server = server
        self._quarantine = quarantine
        self._owner: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Client]
        self._leave = asyncio.Event()
        self._failures = 0
        self._rests_until = 0.0
        self._uses = 0
        self._log = structlog.get_logger("mcp").bind(server=name)

    async def use(self, work: Callable[[Client], Coroutine[Any, Any, T]], *, patience_s: float) -> T:
        """Do something with the connection, once there is one.

        A server that has forgotten the session has done nothing: it is asked once more, in a new session.

        Raises:
            Away: there was none after `patience_s`, or one has failed a moment ago.
            Lost: it broke off meanwhile.
        """
        try:
            return await self._use(work, patience_s)
        except _Forgotten:
            pass
        try:
            return await self._use(work, patience_s)
        except _Forgotten:
            raise Away from None

    async def _use(self, work: Callable[[Client], Coroutine[Any, Any, T]], patience_s: float) -> T:
        owner, ready = self._connecting()
        client = await _made(ready, patience_s)
        task = asyncio.create_task(work(client))
        self._uses += 1
        try:
            await asyncio.wait({task, owner}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Lost
            return task.result()
        except MCPError as error:
            forgotten = _is_forgotten(error)
            if not forgotten and error.code != CONNECTION_CLOSED:
                raise
            # Over HTTP each request has a stream of its own, so that one which breaks off ends no other.
            is_over = forgotten or self._server.command is not None
            if is_over and self._owner is owner:  # else somebody has connected again
                await self.drop()
            raise (_Forgotten if forgotten else Lost) from error
        finally:
            self._uses -= 1
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    @property
    def is_idle(self) -> bool:
        """Whether nobody uses it now."""
        return self._uses == 0

    @property
    def rests_for(self) -> float:
        """Seconds until somebody may connect again."""
        return max(0.0, self._rests_until - time.monotonic())

    def rest(self) -> None:
        """Something has failed: nobody tries again for a while, which is longer each time until something works."""
        self._failures += 1
        pause = min(FIRST_PAUSE_S * 2 ** (self._failures - 1), LONGEST_PAUSE_S)
        self._rests_until = time.monotonic() + pause

    def works(self) -> None:
        """Something has worked."""
        self._failures, self._rests_until = 0, 0.0

    async def drop(self) -> None:
        """Let go of this connection: the next use makes a new one."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._leave.set()
        if not self._ready.done():  # there is nobody to take leave of
            owner.cancel()
        done, _ = await asyncio.wait({owner}, timeout=_FAREWELL_S)
        if not done:
            owner.cancel()
            await asyncio.wait({owner})

    def _connecting(self) -> "tuple[asyncio.Task[None], asyncio.Future[Client]]":
        """The task that has the connection, or makes it, and the client that it will have."""
        if self._owner is None or self._owner.done():
            if self.rests_for:
                raise Away
            self._leave, self._ready = asyncio.Event(), asyncio.get_running_loop().create_future()
            self._owner = asyncio.create_task(self._own(self._ready, self._leave))
        return self._owner, self._ready

    async def _own(self, ready: "asyncio.Future[Client]", leave: asyncio.Event) -> None:
        """Enter the connection, wait, and leave it: all in one task, as its cancel scopes demand."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    client = await stack.enter_async_context(_opened(self._server, self._quarantine))
                self._log.info("connected")
                ready.set_result(client)
                await leave.wait()
        except Exception as error:  # noqa: BLE001  (whatever a server does: it is away, and that is said)
            self.rest()
            self._log.warning("not connected", error=_words(error))
        finally:
            ready.cancel()


async def _made(ready: "asyncio.Future[Client]", patience_s: float) -> Client:
    done, _ = await asyncio.wait({ready}, timeout=patience_s)
    if not done or ready.cancelled():
        raise Away
    return ready.result()


def _is_forgotten(error: MCPError) -> bool:
    """Whether the server no longer knows our session, so that it has not looked at the request."""
    return error.code == INVALID_REQUEST and error.message == _NO_SESSION


@asynccontextmanager
async def _opened(server: McpServer, quarantine: Quarantine) -> AsyncIterator[Client]:
    """A client of this server, past its handshake."""
    async with AsyncExitStack() as stack:
        transport = _stdio(server) if server.command else await stack.enter_async_context(_http(server))
        listing = ToolListing(quarantine)
        us = Implementation(name="convergio", version=version("convergio"))
        client = await stack.enter_async_context(Client(listing.over(transport), client_info=us, cache=None))
        listing.version = client.protocol_version
        yield client


def _stdio(server: McpServer) -> AbstractAsyncContextManager[Any]:
    """The server's program, which does not outlive this process however it ends."""
    if shutil.which(server.command or "") is None:
        raise FileNotFoundError(f"there is no program {server.command}")
    env = {name: value.get_secret_value() for name, value in server.env.items()}
    guarded = ["-I", "-S", _GUARD, str(os.getpid()), server.command or "", *server.args]
    parameters = StdioServerParameters(command=sys.executable, args=guarded, env=env)
    return stdio_client(parameters, errlog=sys.__stderr__ or sys.stderr)


@asynccontextmanager
async def _http(server: McpServer) -> AsyncIterator[AbstractAsyncContextManager[Any]]:
    headers = {name: value.get_secret_value() for name, value in server.headers.items()}
    timeout = httpx2.Timeout(CONNECT_TIMEOUT_S, read=server.timeout_s + CONNECT_TIMEOUT_S)
    hooks = {"response": [_recognise_lost_session]}
    async with httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks=hooks) as http:
        yield streamable_http_client(server.url or "", http_client=http)


async def _recognise_lost_session(response: httpx2.Response) -> None:
    """Make every way in which a server says that it does not know our session the one that the SDK understands.

    By the specification a 404 to a request with a session's id means that, whatever its body says; the SDK believes the
    body. Some servers answer 400 or 410, and name the session in words.
    """
    if _SESSION not in response.request.headers or response.status_code not in _SESSION_STATUSES:
        return
    if response.status_code == HTTPStatus.NOT_FOUND or b"session" in (await response.aread()).lower():
        response.status_code = HTTPStatus.NOT_FOUND
        response.headers["content-type"] = "text/plain"


def _words(error: BaseException) -> str:
    """The first cause, in the few words that a log needs."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]

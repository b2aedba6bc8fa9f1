"""The connection to one MCP server: opened on demand, owned by one task, reopened after it is lost."""

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
MAX_PAUSE_S = 60.0
_CLOSE_TIMEOUT_S = 10.0
_GUARD = str(Path(__file__).with_name("process_guard.py"))
_SESSION = "mcp-session-id"
_SESSION_STATUSES = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_NO_SESSION = "Session terminated"
"""The SDK's message for a 404 to a request of a session, if the response has no message of its own."""


class NotConnected(Exception):  # noqa: N818  (a state, not a programming error)
    """There is no connection, so nothing was sent."""


class ConnectionLost(Exception):  # noqa: N818  (the same)
    """The connection broke while a request was running."""


class _SessionExpired(Exception):  # noqa: N818  (the same)
    """The server does not know the session, so it has not executed the request."""


class McpConnection:
    """Connects to one server. All methods belong to one event loop; after a failure it backs off."""

    def __init__(self, name: str, server: McpServer, quarantine: Quarantine = lambda _, __: None) -> None:
        """Create it unconnected. `quarantine` is called with each listed tool that is unusable, and the reason."""
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
        """Run `work` with the connection, once there is one.

        A server that has forgotten the session has executed nothing: `work` is repeated once, in a new session.

        Raises:
            Away: there was no connection within `patience_s` seconds, or an attempt failed a moment ago.
            Lost: the connection broke meanwhile.
        """
        try:
            return await self._use(work, patience_s)
        except _SessionExpired:
            pass
        try:
            return await self._use(work, patience_s)
        except _SessionExpired:
            raise NotConnected from None

    async def _use(self, work: Callable[[Client], Coroutine[Any, Any, T]], patience_s: float) -> T:
        owner, ready = self._get_or_connect()
        client = await _wait_until_ready(ready, patience_s)
        task = asyncio.create_task(work(client))
        self._uses += 1
        try:
            await asyncio.wait({task, owner}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionLost
            return task.result()
        except MCPError as error:
            forgotten = _is_session_expired(error)
            if not forgotten and error.code != CONNECTION_CLOSED:
                raise
            # Over HTTP each request has a stream of its own: a broken one does not affect the others.
            is_over = forgotten or self._server.command is not None
            if is_over and self._owner is owner:  # else another request has reconnected already
                await self.close()
            raise (_SessionExpired if forgotten else ConnectionLost) from error
        finally:
            self._uses -= 1
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    @property
    def is_idle(self) -> bool:
        """True while no request uses it."""
        return self._uses == 0

    @property
    def backoff_s(self) -> float:
        """Seconds until the next attempt to connect is allowed."""
        return max(0.0, self._rests_until - time.monotonic())

    def back_off(self) -> None:
        """Back off after a failure: longer each time, until something succeeds."""
        self._failures += 1
        pause = min(FIRST_PAUSE_S * 2 ** (self._failures - 1), MAX_PAUSE_S)
        self._rests_until = time.monotonic() + pause

    def reset_backoff(self) -> None:
        """Reset the backoff after a success."""
        self._failures, self._rests_until = 0, 0.0

    async def close(self) -> None:
        """Close the connection; the next use opens a new one."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._leave.set()
        if not self._ready.done():  # it is still connecting: there is no session to end
            owner.cancel()
        done, _ = await asyncio.wait({owner}, timeout=_CLOSE_TIMEOUT_S)
        if not done:
            owner.cancel()
            await asyncio.wait({owner})

    def _get_or_connect(self) -> "tuple[asyncio.Task[None], asyncio.Future[Client]]":
        """Return the task that owns or opens the connection, and the future client."""
        if self._owner is None or self._owner.done():
            if self.backoff_s:
                raise NotConnected
            self._leave, self._ready = asyncio.Event(), asyncio.get_running_loop().create_future()
            self._owner = asyncio.create_task(self._run_connection(self._ready, self._leave))
        return self._owner, self._ready

    async def _run_connection(self, ready: "asyncio.Future[Client]", leave: asyncio.Event) -> None:
        """Open the connection, wait, and close it: all in one task, as its cancel scopes require."""
        try:
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    client = await stack.enter_async_context(_open_client(self._server, self._quarantine))
                self._log.info("connected")
                ready.set_result(client)
                await leave.wait()
        except Exception as error:  # noqa: BLE001  (whatever a server does, it counts as unreachable, which is logged)
            self.back_off()
            self._log.warning("not connected", error=_describe(error))
        finally:
            ready.cancel()


async def _wait_until_ready(ready: "asyncio.Future[Client]", patience_s: float) -> Client:
    done, _ = await asyncio.wait({ready}, timeout=patience_s)
    if not done or ready.cancelled():
        raise NotConnected
    return ready.result()


def _is_session_expired(error: MCPError) -> bool:
    """Return whether the server no longer knows the session, so that it has not executed the request."""
    return error.code == INVALID_REQUEST and error.message == _NO_SESSION


@asynccontextmanager
async def _open_client(server: McpServer, quarantine: Quarantine) -> AsyncIterator[Client]:
    """Return a client of this server after its handshake."""
    async with AsyncExitStack() as stack:
        transport = _stdio(server) if server.command else await stack.enter_async_context(_http(server))
        listing = ToolListing(quarantine)
        us = Implementation(name="convergio", version=version("convergio"))
        client = await stack.enter_async_context(Client(listing.wrap(transport), client_info=us, cache=None))
        listing.version = client.protocol_version
        yield client


def _stdio(server: McpServer) -> AbstractAsyncContextManager[Any]:
    """Start the server's program; it does not outlive this process, however that ends."""
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
    """Turn all responses to an unknown session into the one that the SDK recognises.

    By the specification a 404 to a request with a session id means that, whatever its body says; the SDK goes by the
    body. Some servers respond 400 or 410, and mention the session in the text.
    """
    if _SESSION not in response.request.headers or response.status_code not in _SESSION_STATUSES:
        return
    if response.status_code == HTTPStatus.NOT_FOUND or b"session" in (await response.aread()).lower():
        response.status_code = HTTPStatus.NOT_FOUND
        response.headers["content-type"] = "text/plain"


def _describe(error: BaseException) -> str:
    """Return the first cause as a short text for the log."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]

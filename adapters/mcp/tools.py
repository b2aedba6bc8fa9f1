"""The tools of MCP servers, as implementations of the tool ports."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar, cast

import orjson
import structlog
from mcp import Client, MCPError
from mcp_types import (
    INTERNAL_ERROR,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from mcp_types import Tool as Offered
from pydantic import ValidationError

from adapters.mcp.config import McpServer
from adapters.mcp.connection import ConnectionLost, McpConnection, NotConnected
from domain.tools.arguments import schema_problem
from domain.tools.ports import SourceStatus, Tool, ToolContext, ToolFailed, ToolResult
from domain.tools.spec import ToolSpec

T = TypeVar("T")

LISTING_TTL_S = 60.0
"""Seconds for which a server's list of tools is cached."""
LISTING_TIMEOUT_S = 15.0
"""Seconds that a turn waits for a server's connection or list: programs that a package runner starts need several."""

_MAX_PAGES = 20
_MAX_NAME = 64
_MAX_DESCRIPTION = 1000
_IN_DOUBT = frozenset({REQUEST_TIMEOUT, INTERNAL_ERROR, PARSE_ERROR})
"""Errors after which a request may have been executed nevertheless."""
_MARGIN_S = 5.0
_MAX_QUARANTINED = 100


class McpTools:
    """`domain.tools.ports.ToolSource` of one server. An unreachable server has no tools, which is logged."""

    def __init__(self, name: str, server: McpServer) -> None:
        self._name = name
        self._server = server
        self._connection = McpConnection(name, server, self._quarantine)
        self._listing = asyncio.Lock()
        self._listed_at = float("-inf")
        self._tools: dict[str, _McpTool] = {}
        self._quarantined: dict[str, str] = {}
        self._problem: str | None = None
        self._log = structlog.get_logger("mcp").bind(server=name)

    async def specs(self) -> Sequence[ToolSpec]:
        async with self._listing:
            if time.monotonic() - self._listed_at > LISTING_TTL_S:
                await self._list()
        return tuple(tool.spec for tool in self._tools.values())

    async def tool(self, name: str) -> Tool:
        if name not in self._tools:
            await self.specs()
        if name not in self._tools:
            raise ToolFailed(f"{name} is not there now: its server cannot be reached, or no longer has it.")
        return self._tools[name]

    async def status(self) -> SourceStatus:
        await self.specs()
        return SourceStatus(self._name, self._problem, tuple(self._tools), dict(self._quarantined))

    async def aclose(self) -> None:
        await self._connection.close()

    def _quarantine(self, tool: str, reason: str) -> None:
        """Quarantine one tool by the server's name of it; logged once."""
        if self._quarantined.get(tool) != reason and len(self._quarantined) < _MAX_QUARANTINED:
            self._log.warning("a tool is not offered", tool=tool, reason=reason)
            self._quarantined[tool] = reason

    async def _list(self) -> None:
        connection = self._connection
        if connection.backoff_s:
            self._tools = {}
            return
        self._quarantined = {}
        try:
            offered = await connection.use(_all_tools, patience_s=LISTING_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  (no failure of a server fails a turn)
            await self._on_listing_failure(error)
            return
        connection.reset_backoff()
        self._problem = None
        self._tools = await asyncio.to_thread(self._build_tools, offered)  # a hostile schema takes seconds to refuse
        self._listed_at = time.monotonic()

    async def _on_listing_failure(self, error: Exception) -> None:
        if not self._connection.is_idle and isinstance(error, TimeoutError):
            return  # it is busy with a call, so it is reachable
        self._tools = {}
        if not isinstance(error, NotConnected):  # else the connection may still be opening
            self._connection.back_off()
            await self._connection.close()
        words = "it cannot be reached" if isinstance(error, NotConnected) else f"{type(error).__name__}: {error}"
        self._problem = words[:300]
        self._log.warning("its tools are not offered", reason=self._problem)

    def _build_tools(self, offered: Sequence[Offered]) -> "dict[str, _McpTool]":
        """Return the usable tools by the names that models see. Unchanged ones stay the same objects."""
        tools: dict[str, _McpTool] = {}
        for tool in offered:
            if self._server.tools is not None and tool.name not in self._server.tools:
                continue
            spec = _spec(self._name, self._server, tool)
            problem = "another one has the same name" if spec.name in tools else schema_problem(spec)
            if problem:
                self._quarantine(tool.name, problem)
                continue
            known = self._tools.get(spec.name)
            same = known is not None and known.spec == spec and known.name == tool.name
            tools[spec.name] = known if known and same else _McpTool(spec, tool.name, self._name, self._connection)
        return tools


@dataclass(frozen=True, slots=True)
class _McpTool:
    """`domain.tools.ports.Tool` on a server. `name` is the server's name of it."""

    spec: ToolSpec
    name: str
    server: str
    connection: McpConnection

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        async def work(client: Client) -> CallToolResult:
            return await client.call_tool(
                self.name,
                dict(arguments),
                self.spec.timeout_s - _MARGIN_S,
                meta=cast("Any", {"convergio/tool_call_id": context.tool_call_id}),  # the type allows any key
            )

        try:
            if self.spec.effect == "read":
                result = await self._retry_once(work)
            else:
                await self._require_reachable()
                result = await self.connection.use(work, patience_s=LISTING_TIMEOUT_S)
        except NotConnected:
            raise self._not_called_error() from None
        except MCPError as error:
            if error.code in _IN_DOUBT:
                raise self._outcome_unknown_error() from error
            raise ToolFailed(f"The server says: {error.message}") from error
        except (ConnectionLost, TimeoutError, ValidationError, RuntimeError) as error:
            raise self._outcome_unknown_error() from error
        self.connection.reset_backoff()
        return _result(result, f"mcp:{self.server}/{self.name}")

    async def _require_reachable(self) -> None:
        """Return if the server answers. A failure here means that the tool was not called.

        After this, a failure leaves open whether the call was executed.
        """
        try:
            await self._retry_once(_ping)
        except Exception as error:  # in any case nothing was sent
            raise self._not_called_error() from error

    def _outcome_unknown_error(self) -> ToolFailed:
        return ToolFailed(f"{self.spec.name} was called, and brought no answer that can be read.", unknown=True)

    def _not_called_error(self) -> ToolFailed:
        return ToolFailed(f"{self.spec.name} was not called: its server cannot be reached now.")

    async def _retry_once(self, work: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        """Run repeatable work; once more on a new connection if the present one turns out to be lost."""
        try:
            return await self.connection.use(work, patience_s=LISTING_TIMEOUT_S)
        except ConnectionLost:
            await asyncio.sleep(self.connection.backoff_s)
            return await self.connection.use(work, patience_s=LISTING_TIMEOUT_S)


async def _all_tools(client: Client) -> list[Offered]:
    """Return every tool that the server lists, within the time that a turn waits for it."""
    tools: list[Offered] = []
    cursor: str | None = None
    async with asyncio.timeout(LISTING_TIMEOUT_S):
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            tools += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
    return tools


async def _ping(client: Client) -> None:
    """Return if the server answers. Listing exists in every version of the protocol and has no side effects."""
    async with asyncio.timeout(LISTING_TIMEOUT_S):
        await client.list_tools()


def _spec(server: str, config: McpServer, tool: Offered) -> ToolSpec:
    only_reads = bool(tool.annotations and tool.annotations.read_only_hint)
    return ToolSpec(
        name=_name(server, tool.name),
        description=(tool.description or tool.title or tool.name)[:_MAX_DESCRIPTION],
        parameters=tool.input_schema,
        effect="read" if only_reads else "write",
        policy=config.policy or ("free" if only_reads else "approval"),
        timeout_s=config.timeout_s + _MARGIN_S,
    )


def _name(server: str, tool: str) -> str:
    name = f"{server}__{re.sub('[^A-Za-z0-9_-]', '_', tool)}"
    if len(name) <= _MAX_NAME:
        return name
    return f"{name[: _MAX_NAME - 9]}_{sha256(tool.encode()).hexdigest()[:8]}"


def _result(result: CallToolResult, source: str) -> ToolResult:
    text = "\n".join(words for part in result.content if (words := _to_text(part)))
    if not text and result.structured_content is not None:
        text = orjson.dumps(result.structured_content).decode()
    if result.is_error:
        raise ToolFailed(text or "The server says that it failed, and not why.")
    return ToolResult(text, (source,))


def _to_text(part: object) -> str:
    match part:
        case TextContent(text=text) | EmbeddedResource(resource=TextResourceContents(text=text)):
            return text
        case ResourceLink(uri=uri):
            return f"[see {uri}]"
        case _:
            return "[something that is not text was left out]"

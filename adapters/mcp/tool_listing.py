"""Tool lists of servers, validated tool by tool: an unusable one is quarantined, and the others remain."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCResponse
from mcp_types.methods import validate_server_result
from pydantic import ValidationError

_MAX_REASON = 300
_MAX_NAME = 64

Item = SessionMessage | Exception
Quarantine = Callable[[str, str], None]
"""Takes a tool's name and the reason for which it is unusable."""


class ToolListing:
    """Filters a transport: its tool lists contain only valid tools; `quarantine` is called with the others.

    The SDK validates a list as a whole, so that one tool with a broken schema would exclude all others. Result schemas
    are removed: the SDK would reject the result of a call that was executed, and match it with regular expressions of
    the server's. `version` is that of the protocol, once it is negotiated.
    """

    def __init__(self, quarantine: Quarantine) -> None:
        self.version = ""
        self._quarantine = quarantine

    @asynccontextmanager
    async def wrap(self, transport: AbstractAsyncContextManager[Any]) -> AsyncIterator[Any]:
        """Return the transport, filtered."""
        async with transport as (read, write):
            yield _ReadStream(read, self._filter_tools), write

    def _filter_tools(self, item: Item) -> Item:
        if not isinstance(item, SessionMessage) or not isinstance(item.message, JSONRPCResponse):
            return item
        result = item.message.result
        if not isinstance(result.get("tools"), list):
            return item
        tools = [_simplify(tool) for tool in result["tools"]]
        kept = [tool for number, tool in enumerate(tools) if self._is_readable(result, tool, number)]
        return replace(item, message=item.message.model_copy(update={"result": {**result, "tools": kept}}))

    def _is_readable(self, result: dict[str, Any], tool: Any, number: int) -> bool:
        try:
            validate_server_result("tools/list", self.version, {**result, "tools": [tool]})
        except ValidationError as error:
            faults = [fault for fault in error.errors(include_input=False) if "tools" in fault["loc"]]
            if faults:
                self._quarantine(_name(tool, number), _reason(faults))
                return False
        return True


class _ReadStream:
    """A stream that passes each item through `checked`."""

    def __init__(self, stream: Any, checked: Callable[[Item], Item]) -> None:
        self._stream = stream
        self._checked = checked

    @property
    def last_context(self) -> Any:
        """The origin of the last item, which the SDK reads from its own streams."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Item:
        return self._checked(await self._stream.receive())

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        return self._checked(await self._stream.__anext__())

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        left: bool | None = await self._stream.__aexit__(kind, error, trace)
        return left


def _simplify(tool: Any) -> Any:
    """Return a tool without unused parts, and with the schema type that many servers omit."""
    if not isinstance(tool, dict):
        return tool
    tool = {key: value for key, value in tool.items() if key != "outputSchema"}
    schema = tool.get("inputSchema")
    return {**tool, "inputSchema": {"type": "object", **schema}} if isinstance(schema, dict) else tool


def _name(tool: Any, number: int) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    return name[:_MAX_NAME] if isinstance(name, str) and name else f"number {number + 1} of the list"


def _reason(faults: list[Any]) -> str:
    return "; ".join(f"{_place(fault['loc'])}: {fault['msg']}" for fault in faults)[:_MAX_REASON]


def _place(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place[place.index("tools") + 2 :]) or "the tool"

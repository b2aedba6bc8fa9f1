"""What tools need of the outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from domain.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Who calls a tool, and where. `tool_call_id` names this one call for ever."""

    tool_call_id: str
    agent_id: str
    key_id: str
    session_id: str
    workflow_id: str
    project_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told. `sources` names what was read: `projection:costs`, `document:…`, a URL."""

    text: str
    sources: tuple[str, ...] = ()


class ToolFailed(Exception):  # noqa: N818  (the name the field uses)
    """A call that brought nothing, in words the model may read. `unknown`: it may have had its effect all the same."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class Tool(Protocol):
    """A tool that runs as code of ours or behind a protocol."""

    spec: ToolSpec

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it once. `arguments` follow the spec's schema.

        Raises:
            ToolFailed: it did not work.
        """
        ...


class Toolbox(Protocol):
    """The tools of this deployment."""

    async def offered(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """The specs of those that are configured here, in this order; `server__*` stands for all of an MCP server."""
        ...

    async def tool(self, name: str) -> Tool:
        """A tool whose spec `runs` as an activity.

        Raises:
            ToolFailed: it is not there (any more).
        """
        ...

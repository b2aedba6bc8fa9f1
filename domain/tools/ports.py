"""What tools need of the outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from domain.tools.projection import ToolCallRow
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

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Do it once. `arguments` follow the spec's schema.

        Raises:
            ToolFailed: it did not work.
            domain.errors.Unavailable: something that it reads is away for the moment; a read is tried again.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source of tools is: `problem` says why it cannot be used now.

    `tools` are offered; `quarantined` ones are not, by the source's own names of them, each with the reason.
    """

    name: str
    problem: str | None
    tools: tuple[str, ...]
    quarantined: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToolState:
    """Whether a tool that an agent names is offered to it here, and if not, why."""

    name: str
    state: Literal["offered", "not_configured", "unavailable", "quarantined"]
    reason: str | None = None


class ToolSource(Protocol):
    """Tools that live elsewhere, may come and go, and are named `<source>__<tool>`: those of an MCP server."""

    async def specs(self) -> Sequence[ToolSpec]:
        """All that are there now; none while the source is away. It takes seconds at most."""
        ...

    async def tool(self, name: str) -> Tool:
        """One of them, by its whole name.

        Raises:
            ToolFailed: it is not there (any more).
        """
        ...

    async def status(self) -> SourceStatus:
        """How it is now. It takes seconds at most."""
        ...

    async def aclose(self) -> None: ...


class Toolbox(Protocol):
    """The tools of this deployment."""

    async def offered(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """The specs of those that are configured here, in this order; `server__*` stands for all of an MCP server."""
        ...

    async def states(self, names: Sequence[str]) -> tuple[ToolState, ...]:
        """The state of each of these names, in this order; `server__*` is followed by what its server sets aside."""
        ...

    async def source_statuses(self) -> tuple[SourceStatus, ...]:
        """How every source is, by name."""
        ...

    async def tool(self, name: str) -> Tool:
        """A tool whose spec `runs` as an activity.

        Raises:
            ToolFailed: it is not there (any more).
        """
        ...


class ToolReads(Protocol):
    """Tool calls, as far as the projection has come; the oldest first."""

    def of_session(self, session_id: str, turn: int | None = None, *, limit: int = 1000) -> list[ToolCallRow]:
        """Those of a session, or of one turn of it."""
        ...

    def of_workflow(self, workflow_id: str, *, limit: int = 1000) -> list[ToolCallRow]:
        """Those of a whole run, by the id of its root workflow."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. `score` is higher for what fits better."""

    document_id: str
    title: str
    text: str
    score: float
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """Passages, the best first, out of so many `documents` that are indexed."""

    passages: tuple[Passage, ...]
    documents: int


class Knowledge(Protocol):
    """The indexed documents."""

    async def search(self, query: str, *, limit: int, filters: Mapping[str, Any]) -> Found:
        """The passages nearest to the query. `filters`: equality on metadata; a list means any of it.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...


class NoKnowledge:
    """The null object of `Knowledge`: a store with nothing in it."""

    async def search(self, query: str, *, limit: int, filters: Mapping[str, Any]) -> Found:  # noqa: ARG002  (nothing to search)
        return Found((), 0)

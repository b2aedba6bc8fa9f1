"""Ports of tools."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from domain.tenant_ids import tenant_of
from domain.tools.projection import ToolCallRow
from domain.tools.spec import ToolSpec


@dataclass(frozen=True, slots=True)
class ToolContext:
    """The caller of a tool. `tool_call_id` identifies this one call permanently."""

    tool_call_id: str
    agent_id: str
    key_id: str
    session_id: str
    workflow_id: str
    project_id: str | None = None

    @property
    def tenant_id(self) -> str:
        """Whose figures and documents it may read."""
        return tenant_of(self.session_id)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result that the model receives. `sources` names the data read: `projection:costs`, `document:…`, a URL."""

    text: str
    sources: tuple[str, ...] = ()


class ToolFailed(Exception):  # noqa: N818  (the name the field uses)
    """A call without a result; the model may read the message. `unknown`: it may have had its effect all the same."""

    def __init__(self, message: str, *, unknown: bool = False) -> None:
        super().__init__(message)
        self.unknown = unknown


class Tool(Protocol):
    """A tool that runs as code of the platform or behind a protocol."""

    @property
    def spec(self) -> ToolSpec: ...

    async def call(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Call the tool once. `arguments` follow the spec's schema.

        Raises:
            ToolFailed: the call failed.
            domain.errors.Unavailable: a server that it reads is unavailable; a read is retried.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """The status of a source of tools: `problem` says why it cannot be used now.

    `tools` are offered; `quarantined` ones are not, by the source's own names, each with the reason.
    """

    name: str
    problem: str | None
    tools: tuple[str, ...]
    quarantined: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ToolState:
    """The availability of a tool that an agent names, with the reason if it is not offered."""

    name: str
    state: Literal["offered", "not_configured", "unavailable", "quarantined"]
    reason: str | None = None


class ToolSource(Protocol):
    """Tools from elsewhere, which may come and go, named `<source>__<tool>`: those of an MCP server."""

    async def specs(self) -> Sequence[ToolSpec]:
        """Return all current tools; none while the source is unavailable. Takes seconds at most."""
        ...

    async def tool(self, name: str) -> Tool:
        """Return one tool, by its full name.

        Raises:
            ToolFailed: it is not there (any more).
        """
        ...

    async def status(self) -> SourceStatus:
        """Return the current status. Takes seconds at most."""
        ...

    async def aclose(self) -> None: ...


class Toolbox(Protocol):
    """The tools of this deployment."""

    async def offered_specs(self, names: Sequence[str]) -> tuple[ToolSpec, ...]:
        """Return the specs of the configured ones, in this order; `server__*` stands for all of an MCP server."""
        ...

    async def states(self, names: Sequence[str]) -> tuple[ToolState, ...]:
        """Return the state of each name, in this order; `server__*` includes its server's quarantined tools."""
        ...

    async def source_statuses(self) -> tuple[SourceStatus, ...]:
        """Return the status of every source, by name."""
        ...

    async def tool(self, name: str) -> Tool:
        """Return a tool whose spec `runs` as an activity.

        Raises:
            ToolFailed: it is not there (any more).
        """
        ...


class ToolReads(Protocol):
    """Tool calls, up to the projection's position; the oldest first."""

    def of_session(self, session_id: str, turn: int | None = None, *, limit: int = 1000) -> list[ToolCallRow]:
        """Return those of a session, or of one of its turns."""
        ...

    def of_workflow(self, workflow_id: str, *, limit: int = 1000) -> list[ToolCallRow]:
        """Return those of a whole run, by the id of its root workflow."""
        ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document. `score` is higher for better matches; `chunk` and `page` say where it stands."""

    document_id: str
    title: str
    text: str
    score: float
    metadata: Mapping[str, Any] = field(default_factory=dict)
    chunk: int | None = None
    page: int | None = None

    @property
    def source(self) -> str:
        """The passage as a source of an answer: `document:handbook#3 (page 2, score 0.91)`."""
        page = f"page {self.page}, " if self.page is not None else ""
        return f"document:{self.document_id}#{self.chunk} ({page}score {self.score:.2f})"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Passages, the best first, out of `documents` indexed ones."""

    passages: tuple[Passage, ...]
    documents: int


class Knowledge(Protocol):
    """The indexed documents."""

    async def search(self, query: str, *, limit: int, filters: Mapping[str, Any], context: ToolContext) -> SearchResult:
        """Return the passages nearest to the query that the caller may read.

        `filters`: equality on metadata; a list means any of its values, an object a range.

        Raises:
            ToolFailed: the filters are not valid, or the query cannot be embedded.
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

"""The names that a generated workflow may use: agents, tools, swarm modes, other workflows."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from api.http.dependencies import Positions
from domain.agents.ports import AgentFilter, AgentReads
from domain.ali.ranking import rank
from domain.ali.team import Candidate
from domain.graphflow.catalogue.ports import WorkflowFilter, WorkflowReads
from domain.graphflow.definition.documents import definition_from
from domain.graphflow.definition.model import Definition
from domain.graphflow.generation.answer import options
from domain.graphflow.generation.prompt import MODES, list_section, signature
from domain.graphflow.validation.context import KnownWorkflow, ValidationContext
from domain.tools.ports import Toolbox
from domain.tools.spec import ToolSpec

_MAX_AGENTS = 1_000
_MAX_DESCRIBED = 12
"""Number of agents that a prompt describes; the others are only named, so that it fits a small window."""
_MAX_TOOLS = 40
_MAX_WORKFLOWS = 10
_MAX_DESCRIPTION = 140
"""Maximum characters of a description."""


@dataclass(frozen=True, slots=True)
class AllowedNames:
    """The allowed names: as text for the model, and as options that its answer is checked against."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NameCatalogue:
    """Looks up the allowed names. `tools` are those that may be offered; `server__*` means all of an MCP server."""

    agents: AgentReads
    workflows: WorkflowReads
    toolbox: Toolbox
    positions: Positions
    tools: tuple[str, ...]

    async def find_names(self, tenant_id: str, task: str, requirements: int) -> AllowedNames:
        """The names that a tenant knows, those agents first who fit the task best.

        Raises:
            Unavailable: the database is away.
        """
        await self.positions.wait("agents")
        agents = await asyncio.to_thread(self._agents, tenant_id)
        offered = await self.toolbox.offered_specs(self.tools)
        tools = [spec for spec in offered if spec.runs == "activity"][:_MAX_TOOLS]
        workflows = await asyncio.to_thread(self._workflows, tenant_id)
        known = ValidationContext(
            agents={one.id: Decimal(0) for one in agents},
            tools={spec.name: spec.parameters for spec in tools},
            modes=dict.fromkeys(MODES, lambda members, _: members),
            workflows={(name, None): KnownWorkflow(each.input) for name, each in workflows.items()},
            for_agents=frozenset(spec.name for spec in tools if spec.runs != "activity"),
        )
        fitting = [match.candidate for match in rank(task, agents)]
        return AllowedNames("\n".join(_describe(fitting, tools, workflows)), options(known, requirements))

    def _agents(self, tenant_id: str) -> list[Candidate]:
        rows = self.agents.page(AgentFilter(tenant_id, status="active"), skip=0, limit=_MAX_AGENTS).agents
        return [
            Candidate(row.id, row.name, row.description, tuple(row.capabilities))
            for row in rows
            if row.deployed_version is not None
        ]

    def _workflows(self, tenant_id: str) -> dict[str, Definition]:
        page = self.workflows.page(WorkflowFilter(tenant_id, "active"), skip=0, limit=_MAX_WORKFLOWS)
        found = self.workflows.versions_by_ref(tenant_id, [(seen.row.id, None) for seen in page.workflows])
        return {workflow_id: definition_from(row.definition) for (workflow_id, _), row in found.items()}


def _describe(
    agents: Sequence[Candidate], tools: Sequence[ToolSpec], workflows: Mapping[str, Definition]
) -> Iterator[str]:
    yield list_section(
        "Agents, those first that fit best",
        (f"- {one.id}: {_shorten(one.description)}" for one in agents[:_MAX_DESCRIBED]),
    )
    if rest := [one.id for one in agents[_MAX_DESCRIBED:]]:
        yield f"Other agents: {', '.join(rest)}\n"
    yield f"Modes of swarms: {', '.join(f'{mode} ({what})' for mode, what in MODES.items())}\n"
    called = (f"- {signature(spec.name, spec.parameters)}: {_shorten(spec.description)}" for spec in tools)
    yield list_section("Tools (`?`: may be left out)", called)
    inner = (f"- {signature(name, each.input)}: {_shorten(each.description)}" for name, each in workflows.items())
    yield list_section("Workflows", inner)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_DESCRIPTION else f"{line[: _MAX_DESCRIPTION - 1]}…"

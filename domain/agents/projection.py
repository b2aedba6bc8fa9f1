"""The read model of the registry: agents as deployed, and each of their versions."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from domain.agents.aggregate import SEED
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import AgentDefined, AgentDeployed, AgentRetired
from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.tenant_ids import DEFAULT, EVERY


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent as its deployed version describes it, or its newest while none is.

    `version` counts every change of the agent; `deployed_version` is the one that new work gets, in the `environment`
    that was named then. `tenant_id` is `*` of an agent that came with the platform.
    """

    TABLE: ClassVar[str] = "agents"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "id")

    tenant_id: str
    id: str
    name: str
    description: str
    status: Literal["active", "inactive"]
    capabilities: list[str]
    tools: list[str]
    color: str
    aliases: list[str]
    model: str | None
    temperature: float | None
    fingerprint: str
    version: int
    deployed_version: int | None
    created_at: datetime
    updated_at: datetime
    approval: str
    environment: str | None
    newest_version: int
    retired_at: datetime | None
    fallback_models: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AgentVersionRow:
    """One version with its whole definition."""

    TABLE: ClassVar[str] = "agent_versions"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "agent_id", "version")

    tenant_id: str
    agent_id: str
    version: int
    definition: dict[str, Any]
    fingerprint: str
    made_by: str
    created_at: datetime


class AgentsProjection:
    """`domain.projection.Projection` of the agents."""

    name = "agents"
    kinds: tuple[type[Row], ...] = (AgentRow, AgentVersionRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        agent_id = _agent_id(recorded)
        for tenant_id in _owners(recorded):
            match recorded.event:
                case AgentDefined() | AgentRetired():
                    yield AgentRow, (tenant_id, agent_id)
                case AgentDeployed(agent_version=version):
                    yield AgentRow, (tenant_id, agent_id)
                    yield AgentVersionRow, (tenant_id, agent_id, version)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case AgentDefined() as event:
                _apply_defined(recorded, event, rows)
            case AgentDeployed(agent_version=version, environment=environment, at=at):
                row = _row(recorded, rows)
                written = rows.get(AgentVersionRow, row.tenant_id, row.id, version)
                if written is None:
                    raise NotFound(f"{recorded.stream} has no version {version} to deploy")
                row = _with_definition(row, AgentDefinition.model_validate(written.definition))
                deployed = replace(row, status="active", deployed_version=version, environment=environment)
                rows.put(replace(deployed, version=recorded.version, updated_at=at))
            case AgentRetired(at=at):
                row = replace(_row(recorded, rows), version=recorded.version, updated_at=at)
                rows.put(replace(row, status="inactive", deployed_version=None, environment=None, retired_at=at))


def _apply_defined(recorded: RecordedEvent, event: AgentDefined, rows: Rows) -> None:
    definition = event.definition
    row = _find(recorded, rows) or _new(definition, event)
    rows.put(
        AgentVersionRow(
            tenant_id=row.tenant_id,
            agent_id=_agent_id(recorded),
            version=event.agent_version,
            definition=definition.model_dump(mode="json"),
            fingerprint=fingerprint(definition),
            made_by=event.by,
            created_at=event.at,
        )
    )
    if row.deployed_version is None:
        row = _with_definition(row, definition)
    row = replace(row, version=recorded.version, newest_version=event.agent_version, updated_at=event.at)
    rows.put(replace(row, retired_at=None))


def _new(definition: AgentDefinition, event: AgentDefined) -> AgentRow:
    return AgentRow(
        tenant_id=EVERY if event.by == SEED else event.tenant_id,
        id=definition.id,
        name=definition.name,
        description=definition.description,
        status="inactive",
        capabilities=[],
        tools=[],
        color=definition.color,
        aliases=[],
        model=None,
        temperature=None,
        fingerprint="",
        version=0,
        deployed_version=None,
        created_at=event.at,
        updated_at=event.at,
        approval="none",
        environment=None,
        newest_version=0,
        retired_at=None,
    )


def _with_definition(row: AgentRow, definition: AgentDefinition) -> AgentRow:
    return replace(
        row,
        name=definition.name,
        description=definition.description,
        capabilities=list(definition.capabilities),
        tools=list(definition.tools),
        color=definition.color,
        aliases=list(definition.aliases),
        model=definition.model,
        fallback_models=list(definition.fallback_models),
        temperature=definition.temperature,
        fingerprint=fingerprint(definition),
        approval=definition.approval,
    )


def _row(recorded: RecordedEvent, rows: Rows) -> AgentRow:
    row = _find(recorded, rows)
    if row is None:
        raise NotFound(f"{recorded.stream} was never defined")
    return row


def _find(recorded: RecordedEvent, rows: Rows) -> AgentRow | None:
    found = (rows.get(AgentRow, tenant_id, _agent_id(recorded)) for tenant_id in _owners(recorded))
    return next((row for row in found if row is not None), None)


def _owners(recorded: RecordedEvent) -> tuple[str, ...]:
    """Whose the agent can be: the built-in agents have their streams among those of the tenant `default`."""
    tenant_id = recorded.event.tenant_id
    return (EVERY, tenant_id) if tenant_id == DEFAULT else (tenant_id,)


def _agent_id(recorded: RecordedEvent) -> str:
    return recorded.stream.partition(":")[2]

"""What is said of agents that people make, and what they look like."""

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.http.schemas import MAX_INT, Body, Pagination, Timestamp, View
from domain.agents import definition as fields
from domain.agents.aggregate import Agent
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.names import slug
from domain.agents.projection import AgentRow, AgentVersionRow

NO_NUL = r"^[^\x00]*$"
_VersionNumber = Annotated[int, Field(ge=1, le=MAX_INT)]
_TEXTS = ConfigDict(str_strip_whitespace=True, str_min_length=1)


class NewAgent(Body):
    """An agent to be. Its id is made of its name."""

    model_config = _TEXTS

    name: fields.Name
    description: fields.Description
    capabilities: fields.Capabilities = ()
    tools: fields.Tools = ()
    system_prompt: fields.Instructions
    color: fields.Color | None = None
    model: fields.Model | None = None
    temperature: fields.Temperature | None = None
    aliases: fields.Aliases = ()
    approval: Annotated[
        fields.ApprovalRisk, Field(description="The risk at which a person has to let its answers go.")
    ] = "none"

    def definition(self) -> AgentDefinition:
        """The first version. Without a colour it gets one that depends on its id."""
        agent_id = slug(self.name)
        given = self.model_dump(exclude={"system_prompt", "color"})
        color = self.color or f"#{sha256(agent_id.encode()).hexdigest()[:6].upper()}"
        return AgentDefinition(id=agent_id, color=color, instructions=self.system_prompt, **given)


def _absent() -> Any:
    return None


class AgentChanges(Body):
    """Only the fields that are given change; `null` takes model or temperature back to the platform's."""

    model_config = _TEXTS

    name: fields.Name = Field(default_factory=_absent)
    description: fields.Description = Field(default_factory=_absent)
    capabilities: fields.Capabilities = Field(default_factory=_absent)
    tools: fields.Tools = Field(default_factory=_absent)
    system_prompt: fields.Instructions = Field(default_factory=_absent)
    color: fields.Color = Field(default_factory=_absent)
    model: fields.Model | None = Field(default_factory=_absent)
    temperature: fields.Temperature | None = Field(default_factory=_absent)
    aliases: fields.Aliases = Field(default_factory=_absent)
    approval: fields.ApprovalRisk = Field(default_factory=_absent)

    def changes(self) -> dict[str, Any]:
        """The definition's fields that are to change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "system_prompt" in given:
            given["instructions"] = given.pop("system_prompt")
        return given


class Deployment(Body):
    """What new work is to get. An older version is a rollback."""

    environment: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)] | None = None
    version: Annotated[_VersionNumber, Field(description="The newest, if none is named.")] | None = None


NEWEST = Deployment()
"""What is deployed when nothing is said."""


class ManagedAgent(View):
    """An agent as its newest version describes it.

    `version` counts every change and is what `If-Match` compares; `definition_version` is the newest definition's
    number, `deployed_version` that of the one that new work gets.
    """

    id: str
    name: str
    description: str
    status: Literal["active", "inactive"]
    capabilities: tuple[str, ...]
    tools: tuple[str, ...]
    system_prompt: str
    color: str
    aliases: tuple[str, ...]
    model: str | None
    temperature: float | None
    approval: str
    fingerprint: str
    version: int
    definition_version: int
    deployed_version: int | None
    environment: str | None
    created_at: Timestamp
    updated_at: Timestamp


class DeployedAgent(View):
    """What new work gets from now on: `version` is the number of the definition."""

    id: str
    status: Literal["active"]
    version: int
    environment: str | None
    fingerprint: str
    deployed_at: Timestamp


class AgentVersion(View):
    """One definition, whole; who wrote it, when, and whether new work gets it."""

    agent_id: str
    version: int
    deployed: bool
    made_by: str
    created_at: Timestamp
    fingerprint: str
    definition: AgentDefinition


class AgentVersions(View):
    """Definitions, newest first."""

    data: list[AgentVersion]
    pagination: Pagination


def managed(agent: Agent) -> ManagedAgent:
    """The agent as its stream tells."""
    newest = agent.versions[-1].definition
    return ManagedAgent(
        **newest.model_dump(exclude={"instructions"}),
        system_prompt=newest.instructions,
        status="active" if agent.deployed else "inactive",
        fingerprint=fingerprint(newest),
        version=agent.changes,
        definition_version=len(agent.versions),
        deployed_version=agent.deployed,
        environment=agent.environment,
        created_at=agent.versions[0].at,
        updated_at=agent.changed_at or agent.versions[-1].at,
    )


def deployed_agent(agent_id: str, agent: Agent) -> DeployedAgent:
    """What has just been deployed."""
    number = agent.deployed or len(agent.versions)
    deployed = agent.version(number)
    return DeployedAgent(
        id=agent_id,
        status="active",
        version=number,
        environment=agent.environment,
        fingerprint=fingerprint(deployed.definition),
        deployed_at=agent.changed_at or deployed.at,
    )


def version_of(agent: AgentRow, row: AgentVersionRow) -> AgentVersion:
    """A version of this agent."""
    return AgentVersion(
        agent_id=row.agent_id,
        version=row.version,
        deployed=row.version == agent.deployed_version,
        made_by=row.made_by,
        created_at=row.created_at,
        fingerprint=row.fingerprint,
        definition=AgentDefinition.model_validate(row.definition),
    )

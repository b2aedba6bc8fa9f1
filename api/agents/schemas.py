"""Request and response models of agent management."""

from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.http.schemas import MAX_INT, Body, Pagination, Timestamp, View
from domain.agents import definition as fields
from domain.agents.aggregate import RegisteredAgent
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.names import slug
from domain.agents.projection import AgentRow, AgentVersionRow

NO_NUL = r"^[^\x00]*$"
_VersionNumber = Annotated[int, Field(ge=1, le=MAX_INT)]
_TEXTS = ConfigDict(str_strip_whitespace=True, str_min_length=1)


class NewAgent(Body):
    """An agent to create. Its id is derived from its name."""

    model_config = _TEXTS

    name: fields.Name
    description: fields.Description
    capabilities: fields.Capabilities = ()
    tools: fields.Tools = ()
    system_prompt: fields.Instructions
    color: fields.Color | None = None
    model: fields.Model | None = None
    fallback_models: Annotated[
        fields.FallbackModels,
        Field(description="Models to call, in this order, while the one before cannot be called with success."),
    ] = ()
    temperature: fields.Temperature | None = None
    aliases: fields.Aliases = ()
    approval: Annotated[
        fields.ApprovalRisk, Field(description="The risk level at which its answers need approval.")
    ] = "none"
    collections: Annotated[
        fields.Collections,
        Field(description="The collections of documents that it searches, instead of the usual ones."),
    ] = ()

    def definition(self) -> AgentDefinition:
        """Return the first version. Without a colour it gets one derived from its id."""
        agent_id = slug(self.name)
        given = self.model_dump(exclude={"system_prompt", "color"})
        color = self.color or f"#{sha256(agent_id.encode()).hexdigest()[:6].upper()}"
        return AgentDefinition(id=agent_id, color=color, instructions=self.system_prompt, **given)


def _absent() -> Any:
    return None


class AgentChanges(Body):
    """Changes to an agent: fields left out stay; `null` resets model or temperature to the platform's default."""

    model_config = _TEXTS

    name: fields.Name = Field(default_factory=_absent)
    description: fields.Description = Field(default_factory=_absent)
    capabilities: fields.Capabilities = Field(default_factory=_absent)
    tools: fields.Tools = Field(default_factory=_absent)
    system_prompt: fields.Instructions = Field(default_factory=_absent)
    color: fields.Color = Field(default_factory=_absent)
    model: fields.Model | None = Field(default_factory=_absent)
    fallback_models: fields.FallbackModels = Field(default_factory=_absent)
    temperature: fields.Temperature | None = Field(default_factory=_absent)
    aliases: fields.Aliases = Field(default_factory=_absent)
    approval: fields.ApprovalRisk = Field(default_factory=_absent)
    collections: fields.Collections = Field(default_factory=_absent)

    def changes(self) -> dict[str, Any]:
        """Return the fields of the definition that change."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if "system_prompt" in given:
            given["instructions"] = given.pop("system_prompt")
        return given


class Deployment(Body):
    """The version to deploy for new work. An older version is a rollback."""

    environment: Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)] | None = None
    version: Annotated[_VersionNumber, Field(description="The newest by default.")] | None = None


NEWEST = Deployment()
"""The deployment of a request without a body."""


class ManagedAgent(View):
    """An agent as its newest version describes it.

    `version` counts every change and is compared with `If-Match`; `definition_version` is the number of the newest
    definition, `deployed_version` that of the definition that new work uses.
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
    fallback_models: tuple[str, ...]
    temperature: float | None
    approval: str
    collections: tuple[str, ...]
    fingerprint: str
    version: int
    definition_version: int
    deployed_version: int | None
    environment: str | None
    created_at: Timestamp
    updated_at: Timestamp


class DeployedAgent(View):
    """A deployed agent: `version` is the number of the definition that new work uses from now on."""

    id: str
    status: Literal["active"]
    version: int
    environment: str | None
    fingerprint: str
    deployed_at: Timestamp


class AgentVersion(View):
    """One complete definition, its author and time, and whether it is deployed."""

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


def to_managed_agent(agent: RegisteredAgent) -> ManagedAgent:
    """Return the response for an agent loaded from its stream."""
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


def to_deployed_agent(agent_id: str, agent: RegisteredAgent) -> DeployedAgent:
    """Return the response for an agent that was just deployed."""
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


def to_agent_version(agent: AgentRow, row: AgentVersionRow) -> AgentVersion:
    """Return the response for a version of this agent."""
    return AgentVersion(
        agent_id=row.agent_id,
        version=row.version,
        deployed=row.version == agent.deployed_version,
        made_by=row.made_by,
        created_at=row.created_at,
        fingerprint=row.fingerprint,
        definition=AgentDefinition.model_validate(row.definition),
    )

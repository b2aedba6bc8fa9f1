"""One agent: its versions, the deployed one, and the decisions on it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import AgentDefined, AgentDeployed, AgentEvent, AgentRetired
from domain.agents.tools import refuse_unknown
from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause, Event
from domain.tenant_ids import stream_prefix

SEED = "seed"
"""Who the events of the agents' files are `by`."""


@dataclass(frozen=True, slots=True)
class AgentVersionState:
    """A definition, its author and its time."""

    definition: AgentDefinition
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class RegisteredAgent:
    """`versions[n - 1]` is version n; `deployed` is None before the first deployment and after retirement.

    `changes` counts the events, the last of which happened at `changed_at`.
    """

    versions: tuple[AgentVersionState, ...] = ()
    deployed: int | None = None
    deployed_by: str | None = None
    environment: str | None = None
    retired: bool = False
    changes: int = 0
    changed_at: datetime | None = None

    @property
    def built_in(self) -> bool:
        """Whether it came with the platform: all tenants see it, and none changes it."""
        return bool(self.versions) and self.versions[0].by == SEED

    def version(self, number: int) -> AgentVersionState:
        """A version by its number.

        Raises:
            NotFound: there is none of that number.
        """
        if not 1 <= number <= len(self.versions):
            raise NotFound(f"the agent has no version {number}")
        return self.versions[number - 1]


def stream(tenant_id: str, agent_id: str) -> str:
    return f"{stream_prefix('agent', tenant_id)}{agent_id}"


def evolve(agent: RegisteredAgent, event: Event) -> RegisteredAgent:
    agent = replace(agent, changes=agent.changes + 1, changed_at=event.at)
    match event:
        case AgentDefined(definition=definition, by=by, at=at):
            return replace(agent, versions=(*agent.versions, AgentVersionState(definition, by, at)), retired=False)
        case AgentDeployed(agent_version=version, by=by, environment=environment):
            return replace(agent, deployed=version, deployed_by=by, environment=environment)
        case AgentRetired():
            return replace(agent, deployed=None, deployed_by=None, environment=None, retired=True)
        case _:
            return agent


def evolve_all(agent: RegisteredAgent, events: Iterable[Event]) -> RegisteredAgent:
    for event in events:
        agent = evolve(agent, event)
    return agent


def define(
    agent: RegisteredAgent, definition: AgentDefinition, cause: Cause, servers: Collection[str] = ()
) -> list[AgentEvent]:
    """Add a new version; nothing if it equals the newest. `servers` are the MCP servers.

    Raises:
        Conflict: the agent is retired.
        Invalid: a tool that it did not have is unknown, or the definition has another agent's id.
    """
    _refuse_retired(agent)
    had = agent.versions[-1].definition.tools if agent.versions else ()
    refuse_unknown([tool for tool in definition.tools if tool not in had], servers)
    if agent.versions:
        newest = agent.versions[-1].definition
        if newest.id != definition.id:
            reason = f"an agent keeps its id {newest.id}"
            raise Invalid(f"id: {reason}", field="id", reason=reason)
        if fingerprint(newest) == fingerprint(definition):
            return []
    return [AgentDefined(definition=definition, agent_version=len(agent.versions) + 1, **cause.fields())]


def revive(
    agent: RegisteredAgent, definition: AgentDefinition, cause: Cause, servers: Collection[str] = ()
) -> list[AgentEvent]:
    """Create an agent anew under the id of a retired one; its versions continue to count.

    Raises:
        Conflict: the agent is not retired.
        Invalid: a tool is unknown.
    """
    if not agent.retired:
        raise Conflict(f"there is an agent {definition.id} already", field="name", agent_id=definition.id)
    refuse_unknown(definition.tools, servers)
    return [AgentDefined(definition=definition, agent_version=len(agent.versions) + 1, **cause.fields())]


def deploy(agent: RegisteredAgent, version: int, cause: Cause, environment: str | None = None) -> list[AgentEvent]:
    """Deploy this version, or an older one, for new work; nothing if it is deployed already, in that environment.

    Raises:
        Conflict: the agent is retired.
        NotFound: there is no such version.
    """
    _refuse_retired(agent)
    agent.version(version)
    if agent.deployed == version and environment in {None, agent.environment}:
        return []
    return [AgentDeployed(agent_version=version, environment=environment, **cause.fields())]


def retire(agent: RegisteredAgent, cause: Cause) -> list[AgentEvent]:
    """Retire the agent for new work; nothing if it is retired already.

    Raises:
        NotFound: there is no such agent.
    """
    if not agent.versions:
        raise NotFound("there is no such agent")
    return [] if agent.retired else [AgentRetired(**cause.fields())]


def _refuse_retired(agent: RegisteredAgent) -> None:
    if agent.retired:
        raise Conflict("the agent is retired")

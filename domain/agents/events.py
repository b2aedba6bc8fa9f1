"""What can happen to an agent. Its stream is `agent:<id>`."""

from domain.agents.definition import AgentDefinition
from domain.events import Event


class AgentDefined(Event):
    """A version was written down; versions count from 1. Nobody talks to it before it is deployed."""

    NAME = "agent.defined"

    definition: AgentDefinition
    agent_version: int


class AgentDeployed(Event):
    """From now on new work gets this version. `environment` is a word of whoever deployed it, such as production."""

    NAME = "agent.deployed"

    agent_version: int
    environment: str | None = None


class AgentRetired(Event):
    """New work no longer gets this agent. Work that runs keeps the version it began with."""

    NAME = "agent.retired"


class NameClaimed(Event):
    """A name, id or alias is this agent's. Its stream is `agent_name:<kind>:<folded name>`: one holder at a time."""

    NAME = "agent.name_claimed"

    agent_id: str


class NameReleased(Event):
    """This agent no longer needs the name; another one may claim it."""

    NAME = "agent.name_released"

    agent_id: str


AgentEvent = AgentDefined | AgentDeployed | AgentRetired
EVENTS = (AgentDefined, AgentDeployed, AgentRetired, NameClaimed, NameReleased)

"""What can happen to an agent. Its stream is `agent:<id>`."""

from domain.agents.definition import AgentDefinition
from domain.events import Event


class AgentDefined(Event):
    """A version was written down; versions count from 1. Nobody talks to it before it is deployed."""

    NAME = "agent.defined"

    definition: AgentDefinition
    agent_version: int


class AgentDeployed(Event):
    """From now on new work gets this version."""

    NAME = "agent.deployed"

    agent_version: int


class AgentRetired(Event):
    """New work no longer gets this agent. Work that runs keeps the version it began with."""

    NAME = "agent.retired"


AgentEvent = AgentDefined | AgentDeployed | AgentRetired
EVENTS = (AgentDefined, AgentDeployed, AgentRetired)

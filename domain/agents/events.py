"""What can happen to an agent. Its stream is `agent:<id>`, `agent~<tenant>:<id>` for tenants other than `default`."""

from domain.agents.definition import AgentDefinition
from domain.events import Event


class AgentDefined(Event):
    """A version was added; versions count from 1. It takes no messages before it is deployed."""

    NAME = "agent.defined"

    definition: AgentDefinition
    agent_version: int


class AgentDeployed(Event):
    """New work gets this version from now on. `environment` is a free label, such as production."""

    NAME = "agent.deployed"

    agent_version: int
    environment: str | None = None


class AgentRetired(Event):
    """New work no longer gets this agent. Running work keeps its version."""

    NAME = "agent.retired"


class NameClaimed(Event):
    """The agent owns a name, id or alias. Its stream is `agent_name:<kind>:<folded name>`: one owner at a time."""

    NAME = "agent.name_claimed"
    IS_CLAIM = True

    agent_id: str


class NameReleased(Event):
    """The agent no longer owns the name; another one may claim it."""

    NAME = "agent.name_released"
    IS_CLAIM = True

    agent_id: str


AgentEvent = AgentDefined | AgentDeployed | AgentRetired
EVENTS = (AgentDefined, AgentDeployed, AgentRetired, NameClaimed, NameReleased)

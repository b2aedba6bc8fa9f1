"""When the agents' files may change the registry."""

from domain.agents.aggregate import Agent, define, deploy, evolved
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import AgentEvent
from domain.events import Cause

SEED = "seed"
"""Who the files' events are `by`."""


def seeded(agent: Agent, definition: AgentDefinition, cause: Cause) -> list[AgentEvent]:
    """Define and deploy what a file says, unless it stands already or somebody else has decided about the agent.

    Raises:
        Invalid: a tool is unknown.
    """
    if not _in_the_seeds_hands(agent):
        return []
    if agent.deployed and fingerprint(agent.version(agent.deployed).definition) == fingerprint(definition):
        return []
    defined = define(agent, definition, cause)
    agent = evolved(agent, defined)
    return [*defined, *deploy(agent, len(agent.versions), cause)]


def _in_the_seeds_hands(agent: Agent) -> bool:
    if not agent.versions:
        return True
    return agent.deployed is not None and {agent.version(agent.deployed).by, agent.deployed_by} == {SEED}

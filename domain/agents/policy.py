"""The rule for changes of the registry by the agents' files."""

from domain.agents.aggregate import SEED, RegisteredAgent, define, deploy, evolve_all
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.events import AgentEvent
from domain.events import Cause


def seed_events(agent: RegisteredAgent, definition: AgentDefinition, cause: Cause) -> list[AgentEvent]:
    """Define and deploy the file's version, unless it is deployed already or somebody else changed the agent.

    Raises:
        Invalid: a tool is unknown.
    """
    if not _is_seeded(agent):
        return []
    if agent.deployed and fingerprint(agent.version(agent.deployed).definition) == fingerprint(definition):
        return []
    defined = define(agent, definition, cause)
    agent = evolve_all(agent, defined)
    return [*defined, *deploy(agent, len(agent.versions), cause)]


def _is_seeded(agent: RegisteredAgent) -> bool:
    if not agent.versions:
        return True
    return agent.deployed is not None and {agent.version(agent.deployed).by, agent.deployed_by} == {SEED}

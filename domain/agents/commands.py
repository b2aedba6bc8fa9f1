"""What is done to agents, through the ledger."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from domain.agents.aggregate import Agent, evolved, stream
from domain.agents.definition import AgentDefinition, fingerprint
from domain.agents.policy import SEED, seeded
from domain.events import Cause
from domain.ids import derived
from domain.ledger import Change, Ledger, retrying


def seed(ledger: Ledger, definitions: Iterable[AgentDefinition], at: datetime) -> list[str]:
    """Bring the registry to what the agents' files say, and return the ids of the agents that changed.

    What is there already is left as it is, and so is an agent whose deployed version somebody else made or deployed.

    Raises:
        Invalid: a definition names an unknown tool.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    return [d.id for d in definitions if retrying(partial(_seed_one, ledger, d, at))]


def _seed_one(ledger: Ledger, definition: AgentDefinition, at: datetime) -> bool:
    cause = Cause(by=SEED, because=f"agents/{definition.id}.md", at=at)
    past = ledger.read(stream(definition.id))
    events = seeded(evolved(Agent(), past), definition, cause)
    if not events:
        return False
    # The stream's length is part of the key: a file that goes back to an earlier text is a change again.
    key = derived("agents.seed", definition.id, fingerprint(definition), len(past))
    return ledger.append(Change(stream(definition.id), len(past), events), key=key) is not None

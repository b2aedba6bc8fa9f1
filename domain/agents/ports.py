"""What reads the registry of agents."""

from dataclasses import dataclass
from typing import Literal, Protocol

from domain.agents.definition import AgentDefinition
from domain.agents.projection import AgentRow


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """None lets all through. `capability` is a whole phrase, `q` a part of a text; case does not matter."""

    status: Literal["active", "inactive"] | None = None
    capability: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class AgentPage:
    """Some of the agents in the order of their ids; `total` counts those that pass the filter."""

    agents: list[AgentRow]
    total: int


class AgentReads(Protocol):
    """The registry, as far as the projection has come."""

    def page(self, wanted: AgentFilter, *, skip: int, limit: int) -> AgentPage: ...

    def get(self, agent_id: str) -> AgentRow:
        """The agent of this id, or else the one that has it as an alias.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def definition(self, agent_id: str, version: int) -> AgentDefinition:
        """One version of an agent, by its id proper.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

"""What reads the registry of agents."""

from dataclasses import dataclass
from typing import Literal, Protocol

from domain.agents.definition import AgentDefinition
from domain.agents.names import Known
from domain.agents.projection import AgentRow, AgentVersionRow


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


@dataclass(frozen=True, slots=True)
class VersionPage:
    """Some of an agent's versions, newest first; `total` counts them all."""

    versions: list[AgentVersionRow]
    total: int


class ModelCatalogue(Protocol):
    """The models that agents may name."""

    async def knows(self, model: str) -> bool:
        """Whether the provider has it, or the price list.

        Raises:
            domain.errors.Unavailable: nobody can say now.
        """
        ...


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

    def version(self, agent_id: str, version: int) -> AgentVersionRow:
        """The same, and who made it when.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def versions(self, agent_id: str, *, skip: int, limit: int) -> VersionPage: ...

    def names(self) -> list[Known]:
        """The names of all agents."""
        ...

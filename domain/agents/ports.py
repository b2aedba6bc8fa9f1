"""Ports of the registry of agents."""

from dataclasses import dataclass
from typing import Literal, Protocol

from domain.agents.definition import AgentDefinition
from domain.agents.names import AgentNames
from domain.agents.projection import AgentRow, AgentVersionRow


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """The agents that one tenant sees; None lets all of them through.

    `capability` is a whole phrase, `q` a part of a text; case does not matter.
    """

    tenant_id: str
    status: Literal["active", "inactive"] | None = None
    capability: str | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class AgentPage:
    """A page of agents in the order of their ids; `total` counts all that match the filter."""

    agents: list[AgentRow]
    total: int


@dataclass(frozen=True, slots=True)
class AgentVersionPage:
    """A page of an agent's versions, newest first; `total` counts them all."""

    versions: list[AgentVersionRow]
    total: int


class ModelCatalogue(Protocol):
    """The models that agents may name."""

    async def has_model(self, model: str) -> bool:
        """Return True if the provider or the price list has this model.

        Raises:
            domain.errors.Unavailable: neither can be reached.
        """
        ...


class AgentReads(Protocol):
    """The registry, as far as the projection has come. A tenant sees its own agents and the built-in ones."""

    def page(self, wanted: AgentFilter, *, skip: int, limit: int) -> AgentPage: ...

    def get(self, tenant_id: str, agent_id: str) -> AgentRow:
        """Return the agent of this id, or else the one that has it as an alias.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def definition(self, tenant_id: str, agent_id: str, version: int) -> AgentDefinition:
        """Return one version of an agent, by its own id.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def version(self, tenant_id: str, agent_id: str, version: int) -> AgentVersionRow:
        """Return one version with its author and time.

        Raises:
            domain.errors.NotFound: there is none.
        """
        ...

    def versions(self, tenant_id: str, agent_id: str, *, skip: int, limit: int) -> AgentVersionPage: ...

    def names(self, tenant_id: str) -> list[AgentNames]:
        """The names of all agents that the tenant sees."""
        ...

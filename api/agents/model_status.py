"""The status of an agent's model: the features it supports, and its recent refusals."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.agents.projection import AgentRow
from domain.chat.policy import REFUSAL_TTL_S
from domain.costs.ports import CostReads, RefusedPart
from domain.providers.table import ANY_PROVIDER, ProviderTable
from domain.tools.ports import ToolState

_NO_TOOLS = "no tools are offered to models here (CONVERGIO_MODEL_TOOLS)"


@dataclass(frozen=True, slots=True)
class RefusalInForce:
    """Something that a model refused: workers that saw the refusal leave it out of requests until then."""

    refused: str
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """An agent's model, whether tools may be offered to it at all, and its refusals in force."""

    model: str
    takes_tools: bool
    refusals: tuple[RefusalInForce, ...]

    @property
    def reason_without_tools(self) -> str | None:
        """The reason that no tool is offered; None if tools are."""
        if not self.takes_tools:
            return _NO_TOOLS
        refusal = next((refusal for refusal in self.refusals if refusal.refused == "tools"), None)
        return None if refusal is None else f"its model {self.model} refused tools at {refusal.at:%Y-%m-%dT%H:%M:%SZ}"

    def states(self, states: Iterable[ToolState]) -> Iterator[ToolState]:
        """Yield the states of tools with this model: an offered tool is unavailable if the model takes none."""
        reason = self.reason_without_tools
        for state in states:
            is_kept_back = reason is not None and state.state == "offered"
            yield replace(state, state="unavailable", reason=reason) if is_kept_back else state


class AgentModels:
    """The models of agents. `default` is the model of agents that name none."""

    def __init__(
        self,
        costs: CostReads,
        default: str,
        now: Callable[[], datetime],
        *,
        takes_tools: bool,
        table: ProviderTable = ANY_PROVIDER,
    ) -> None:
        self._costs = costs
        self._default = default
        self._now = now
        self._takes_tools = takes_tools
        self._table = table

    def status(self, agent: AgentRow) -> ModelStatus:
        """Return the agent's model with its refusals in force."""
        route = self._table.route_or_none(agent.model or self._default)
        model = route.name if route else agent.model or self._default
        believed = timedelta(seconds=REFUSAL_TTL_S)
        refusals = self._costs.refusals(model, self._now() - believed)
        in_force = tuple(_in_force(refusal, believed) for refusal in refusals)
        takes_tools = self._takes_tools and (route is None or route.provider.takes_tools)
        return ModelStatus(model, takes_tools, in_force)


def _in_force(refusal: RefusedPart, believed: timedelta) -> RefusalInForce:
    return RefusalInForce(refusal.refused, refusal.at, refusal.at + believed)

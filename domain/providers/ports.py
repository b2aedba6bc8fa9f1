"""Ports of model providers: counts of outcomes and slots for calls, shared by all workers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.providers.circuit import Outcomes
from domain.providers.projection import CircuitRow
from domain.providers.table import ProviderLimits


class OutcomeCounts(Protocol):
    """The outcomes of calls by circuit, within a sliding window."""

    async def add(self, circuit: str, *, succeeded: int, failed: int) -> Outcomes:
        """Add outcomes, and return all those of the window.

        Raises:
            domain.errors.Unavailable: they cannot be reached.
        """
        ...

    async def clear(self, circuit: str) -> None:
        """Forget the outcomes of a circuit that opened or closed.

        Raises:
            domain.errors.Unavailable: they cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True)
class SlotRequest:
    """A call that waits for a slot. Among tenants that wait, each gets slots in proportion to its `weight`.

    `tokens` is the estimate that is taken from the provider's tokens a minute.
    """

    id: str
    tenant_id: str
    weight: float
    tokens: int


@dataclass(frozen=True, slots=True)
class SlotEnd:
    """A call that gives its slot back. `tokens` are what it took beyond its estimate; fewer are below 0."""

    id: str
    tokens: int


class ProviderSlots(Protocol):
    """Slots for calls to providers, within the limits of each, fair among tenants."""

    async def poll(
        self,
        provider: str,
        limits: ProviderLimits,
        waiting: Sequence[SlotRequest],
        held: Collection[str],
        ended: Sequence[SlotEnd],
    ) -> frozenset[str]:
        """Return the ids of the waiting calls that have a slot now, and keep the slots that are `held`.

        Slots that are `ended` are free again. A call that is no longer waiting, and a slot that is no longer held, is
        forgotten within seconds. Calls of this must not overlap.

        Raises:
            domain.errors.Unavailable: they cannot be reached.
        """
        ...

    async def close(self) -> None:
        """Close what is open for a while without calls; the next one opens it again."""
        ...


class CircuitReads(Protocol):
    """The circuits that have ever moved, by the view."""

    def circuits(self) -> list[CircuitRow]:
        """Return all circuits, by provider and model.

        Raises:
            domain.errors.Unavailable: the database cannot be reached.
        """
        ...

    def open_circuits(self, since: datetime) -> list[CircuitRow]:
        """Return the circuits that are not closed and whose next probe was due after this moment.

        A circuit whose probe is overdue since long before belongs to a model that nobody calls any more.
        """
        ...

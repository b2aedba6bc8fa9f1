"""Admission of a model call to its provider: a slot within the provider's limits, and the circuit of the model."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.chat.messages import SLOTS_FULL
from activities.providers.circuits import CircuitBreakers
from activities.providers.gate import ProviderGate
from domain.chat.model_port import Usage
from domain.providers.table import ProviderTable


@dataclass(frozen=True, slots=True)
class CallEntry:
    """A call that wants to be made. With `may_move` it can be sent to the task queue of its provider to wait there."""

    call_id: str
    model: str
    tenant_id: str
    may_move: bool = False


class AdmittedCall(Protocol):
    """A call that was let through. It may take several attempts."""

    async def note(self, failure: str | None, usage: Usage | None) -> None:
        """Note the end of an attempt at the provider: the kind of its failure, or None; and what it took."""
        ...


class CallAdmission(Protocol):
    """Lets calls through to their providers."""

    def enter(self, entry: CallEntry) -> AbstractAsyncContextManager[AdmittedCall]:
        """Let a call through for the block.

        Raises:
            CircuitIsOpen: none is made to this model now.
            ApplicationError: the call has to be scheduled in another task queue.
        """
        ...


class _FreePassage:
    async def note(self, failure: str | None, usage: Usage | None) -> None:
        """Note nothing."""


class NoAdmission:
    """The null object: every call is let through."""

    @asynccontextmanager
    async def enter(self, entry: CallEntry) -> AsyncIterator[AdmittedCall]:  # noqa: ARG002  (as the protocol has it)
        yield _FreePassage()


NO_ADMISSION = NoAdmission()


class _CircuitPassage:
    """A passage whose first attempt may be the circuit's probe. `tokens` are those of all its attempts."""

    def __init__(self, circuits: CircuitBreakers | None, provider: str, model: str, *, is_probe: bool) -> None:
        self._circuits = circuits
        self._place = provider, model
        self._is_probe = is_probe
        self.tokens: int | None = None

    async def note(self, failure: str | None, usage: Usage | None) -> None:
        if usage is not None:
            self.tokens = (self.tokens or 0) + usage.total_tokens
        if self._circuits is not None:
            is_probe, self._is_probe = self._is_probe, False
            await self._circuits.note(*self._place, failure, is_probe=is_probe)


class ProviderAdmission:
    """Implements `CallAdmission` with the circuits of models and the gates of providers that have limits.

    `queues` are the task queues by provider that this deployment's workers serve.
    """

    def __init__(
        self,
        table: ProviderTable,
        circuits: CircuitBreakers | None,
        gates: Mapping[str, ProviderGate],
        queues: Mapping[str, str],
    ) -> None:
        self._table = table
        self._circuits = circuits
        self._gates = gates
        self._queues = queues

    @asynccontextmanager
    async def enter(self, entry: CallEntry) -> AsyncIterator[AdmittedCall]:
        """Let a call through for the block; see the protocol."""
        route = self._table.route_or_none(entry.model)
        if route is None:  # the model's adapter refuses it
            yield _FreePassage()
            return
        provider = route.provider.name
        gate = self._gates.get(provider)
        if gate is None:
            yield await self._passage(provider, route.model)
            return
        self._move_if_full(gate, provider, entry)
        slot, passage = await gate.enter(entry.tenant_id), None
        try:
            passage = await self._passage(provider, route.model)
            yield passage
        finally:
            gate.leave(slot, tokens=passage.tokens if passage else 0)

    async def _passage(self, provider: str, model: str) -> _CircuitPassage:
        is_probe = await self._circuits.admit(provider, model) if self._circuits else False
        return _CircuitPassage(self._circuits, provider, model, is_probe=is_probe)

    def _move_if_full(self, gate: ProviderGate, provider: str, entry: CallEntry) -> None:
        """Send a call to the provider's task queue if this process has enough of them: there it waits in fair order.

        Raises:
            ApplicationError: it has to be scheduled there; the details are the queue and the tenant's weight.
        """
        queue = self._queues.get(provider)
        if not entry.may_move or not gate.is_full or queue in {None, activity.info().task_queue}:
            return
        raise ApplicationError(
            "the provider takes no more calls at once",
            queue,
            gate.weight(entry.tenant_id),
            type=SLOTS_FULL,
            non_retryable=True,
            category=ApplicationErrorCategory.BENIGN,  # no failure: not a warning for each
        )

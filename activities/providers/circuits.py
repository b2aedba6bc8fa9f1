"""The circuits of models: calls are refused while most of them fail, by all workers alike.

A move is an event in the circuit's stream, at the version that was read: of workers that decide the same, one appends.
Outcomes are counted in Valkey, and by each worker for itself while that is away.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog

from domain.errors import DomainError, Unavailable, VersionConflict
from domain.events import Cause, Event
from domain.ledger import Change, Ledger
from domain.providers import circuit as circuits
from domain.providers.circuit import Circuit, CircuitRule, Outcomes, outcome_of
from domain.providers.ports import OutcomeCounts
from domain.tenant_ids import DEFAULT

_BELIEVED_S = 1.0
"""Seconds for which a worker believes what it knows of a circuit: the others hear of a move within them."""
_FLUSH_S = 1.0
"""Seconds for which successes are counted here only: most calls succeed, and none of them opens a circuit."""
_MOST_KNOWN = 1_000


class CircuitIsOpen(Unavailable):
    """No call is sent to the model now. `retry_after` is None while a probe is under way."""


@dataclass(slots=True)
class _Known:
    circuit: Circuit
    read_at: float
    succeeded: int = 0
    flushed_at: float = 0.0


class CircuitBreakers:
    """Admits calls by the circuits of their models, and moves circuits by the outcomes."""

    def __init__(
        self,
        ledger: Ledger,
        rule: CircuitRule,
        now: Callable[[], datetime],
        *,
        shared: OutcomeCounts | None,
        own: OutcomeCounts,
    ) -> None:
        self._ledger = ledger
        self._rule = rule
        self._now = now
        self._shared = shared
        self._own = own
        self._known: dict[tuple[str, str], _Known] = {}
        self._log = structlog.get_logger("circuits")

    async def admit(self, provider: str, model: str) -> bool:
        """Return True if the call is a probe, False if it is an ordinary one.

        Raises:
            CircuitIsOpen: no call is sent now.
            Unavailable: the ledger cannot be reached.
        """
        known = self._known.get((provider, model))
        if known is None or time.monotonic() - known.read_at >= _BELIEVED_S:
            known = await asyncio.to_thread(self._read, provider, model)
        circuit, now = known.circuit, self._now()
        admission = circuit.admission(now)
        if admission == "pass":
            return False
        if admission == "probe" and await asyncio.to_thread(self._move, circuit, circuits.half_open_circuit):
            return True
        pause = (circuit.retry_at - now).total_seconds() if circuit.retry_at and circuit.state == "open" else 0.0
        raise CircuitIsOpen(
            f"calls to {model} failed too often: none is made for now", retry_after=pause if pause > 0 else None
        )

    async def note(self, provider: str, model: str, failure: str | None, *, is_probe: bool) -> None:
        """Note the end of a call: the kind of its failure, or None. No error of this may hide the call's own end."""
        outcome = outcome_of(failure)
        if outcome is None:
            return
        try:
            if is_probe:
                await asyncio.to_thread(self._end_probe, provider, model, failure if outcome == "failed" else None)
                await self._clear(provider, model)
            elif outcome == "failed":
                await self._note_failure(provider, model, failure or "")
            else:
                await self._note_success(provider, model)
        except DomainError as error:
            self._log.warning("an outcome is not counted", provider=provider, model=model, reason=error.message)

    async def _note_success(self, provider: str, model: str) -> None:
        known = self._known.get((provider, model))
        if known is None:
            return
        known.succeeded += 1
        if time.monotonic() - known.flushed_at >= _FLUSH_S:
            await self._count(known, failed=0)

    async def _note_failure(self, provider: str, model: str, failure: str) -> None:
        known = self._known.get((provider, model))
        if known is None:
            known = await asyncio.to_thread(self._read, provider, model)
        seen = await self._count(known, failed=1)
        if not seen.trips(self._rule):
            return
        circuit = (await asyncio.to_thread(self._read, provider, model)).circuit
        if circuit.state != "closed":
            return  # another worker open_it it, or its probe decides

        def open_it(circuit: Circuit, cause: Cause) -> Event:
            return circuits.open_circuit(circuit, seen, failure, self._rule, cause)

        if await asyncio.to_thread(self._move, circuit, open_it):
            self._log.warning("a circuit open_it", provider=provider, model=model, calls=seen.calls, kind=failure)
            await self._clear(provider, model)

    def _end_probe(self, provider: str, model: str, failure: str | None) -> None:
        circuit = self._read(provider, model).circuit
        if circuit.state != "half_open":
            return  # it took too long: another call was let through, and decided

        def open_again(circuit: Circuit, cause: Cause) -> Event:
            return circuits.open_circuit(circuit, Outcomes(1, 1), failure or "", self._rule, cause)

        self._move(circuit, circuits.close_circuit if failure is None else open_again)

    async def _count(self, known: _Known, *, failed: int) -> Outcomes:
        """Count a failure, and the successes since the last count; return those of the window."""
        name = f"{known.circuit.provider}/{known.circuit.model}"
        succeeded, known.succeeded = known.succeeded, 0
        known.flushed_at = time.monotonic()
        own = await self._own.add(name, succeeded=succeeded, failed=failed)
        if self._shared is None:
            return own
        try:
            return await self._shared.add(name, succeeded=succeeded, failed=failed)
        except Unavailable:
            return own

    async def _clear(self, provider: str, model: str) -> None:
        name = f"{provider}/{model}"
        await self._own.clear(name)
        if self._shared is not None:
            await self._shared.clear(name)

    def _read(self, provider: str, model: str) -> _Known:
        version, latest = self._ledger.read_latest(circuits.stream(provider, model))
        return self._keep(circuits.circuit_after(provider, model, version, latest))

    def _keep(self, circuit: Circuit) -> _Known:
        place = circuit.provider, circuit.model
        before = self._known.get(place)
        if before is None and len(self._known) >= _MOST_KNOWN:  # agents name models as they like
            self._known.clear()
        read_at = time.monotonic()
        if before is None:
            before = self._known[place] = _Known(circuit, read_at, flushed_at=read_at)
        before.circuit, before.read_at = circuit, read_at
        return before

    def _move(self, circuit: Circuit, decide: Callable[[Circuit, Cause], Event]) -> bool:
        """Append a move. Returns False if another worker moved the circuit first."""
        event = decide(circuit, Cause("platform", "circuit", self._now(), DEFAULT))
        stream = circuits.stream(circuit.provider, circuit.model)
        try:
            key = f"{stream}:{circuit.version + 1}"
            position = self._ledger.append(Change(stream, circuit.version, [event]), key=key)
        except VersionConflict:
            position = None
        if position is None:
            self._read(circuit.provider, circuit.model)
            return False
        self._keep(circuits.circuit_after(circuit.provider, circuit.model, circuit.version + 1, event))
        return True

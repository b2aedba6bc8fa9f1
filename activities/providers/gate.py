"""The gate to one provider: a call passes when it has a slot within the provider's limits."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import structlog

from domain.errors import Unavailable
from domain.providers.ports import ProviderSlots, SlotEnd, SlotRequest
from domain.providers.table import ProviderLimits

_POLL_S = 0.05
"""The time between two looks while calls wait: another process may have freed a slot."""
_KEEP_S = 4.0
"""The time between two renewals of the slots that are held."""
_FIRST_ESTIMATE = 1_000
_SHARE_OF_NEWEST = 0.2


@dataclass(slots=True)
class Slot:
    """A slot that a call holds; `estimate` is what was taken for it of the provider's tokens a minute."""

    id: str
    estimate: int


class ProviderGate:
    """The calls of this process to one provider: those that wait, and those that have a slot.

    `shared` slots are those of all processes. While they cannot be reached, this process keeps to the limits by itself
    (`own`): several processes together may then exceed them.
    """

    def __init__(
        self,
        provider: str,
        limits: ProviderLimits,
        weights: Mapping[str, float],
        *,
        shared: ProviderSlots | None,
        own: ProviderSlots,
    ) -> None:
        self._provider = provider
        self._limits = limits
        self._weights = weights
        self._shared = shared
        self._own = own
        self._waiting: dict[str, tuple[SlotRequest, asyncio.Future[None]]] = {}
        self._held: set[str] = set()
        self._ended: list[SlotEnd] = []
        self._estimate = _FIRST_ESTIMATE
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None
        self._is_alone = False
        self._log = structlog.get_logger("providers")

    @property
    def is_full(self) -> bool:
        """True if as many calls of this process wait or are made as the provider takes at once."""
        most = self._limits.concurrency
        return most is not None and len(self._waiting) + len(self._held) >= most

    def weight(self, tenant_id: str) -> float:
        """Return the share of a tenant while several wait."""
        return self._weights.get(tenant_id, 1.0)

    async def enter(self, tenant_id: str) -> Slot:
        """Return a slot, once there is one and it is the tenant's turn."""
        request = SlotRequest(uuid4().hex, tenant_id, self.weight(tenant_id), self._estimate)
        granted = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = request, granted
        self._wake()
        try:
            await granted
        except asyncio.CancelledError:
            if self._waiting.pop(request.id, None) is None:
                self.leave(Slot(request.id, request.tokens), tokens=0)
            raise
        return Slot(request.id, request.tokens)

    def leave(self, slot: Slot, *, tokens: int | None) -> None:
        """Give a slot back. `tokens` are those that the call took; None if that is not known."""
        self._held.discard(slot.id)
        beyond = 0 if tokens is None else tokens - slot.estimate
        self._ended.append(SlotEnd(slot.id, beyond))
        if tokens:
            self._estimate += round((tokens - self._estimate) * _SHARE_OF_NEWEST)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._serve())
            self._pump.add_done_callback(self._note_end)

    def _note_end(self, pump: "asyncio.Task[None]") -> None:
        """Serve on if a call came while the pump was ending: it had looked for the last time by then."""
        if pump.cancelled():
            return
        if (fault := pump.exception()) is not None:
            self._log.error("slots cannot be asked for", provider=self._provider, exc_info=fault)
        elif self._waiting or self._held or self._ended:
            self._wake()

    async def _serve(self) -> None:
        """Poll while anything waits or is held."""
        try:
            while self._waiting or self._held or self._ended:
                self._changed.clear()
                for name in await self._poll():
                    self._grant(name)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S if self._waiting else _KEEP_S):
                        await self._changed.wait()
        except Exception as fault:
            # nobody else would wake the calls that wait: each fails with it, and is tried again
            for _, granted in self._waiting.values():
                if not granted.done():
                    granted.set_exception(fault)
            self._waiting.clear()
            raise
        finally:
            if self._shared is not None:
                await self._shared.close()

    def _grant(self, name: str) -> None:
        request, granted = self._waiting.pop(name, (None, None))
        if granted is None or granted.done():  # it was cancelled meanwhile
            self._ended.append(SlotEnd(name, -request.tokens if request else 0))
            self._changed.set()
            return
        self._held.add(name)
        granted.set_result(None)

    async def _poll(self) -> frozenset[str]:
        waiting = [request for request, _ in self._waiting.values()]
        held, ended, self._ended = tuple(self._held), self._ended, []
        if self._shared is not None:
            try:
                found = await self._shared.poll(self._provider, self._limits, waiting, held, ended)
            except Unavailable as error:
                self._note_alone(error.message)
            else:
                self._is_alone = False
                return found
        return await self._own.poll(self._provider, self._limits, waiting, held, ended)

    def _note_alone(self, reason: str) -> None:
        if not self._is_alone:
            self._log.warning("limits are kept by this process alone", provider=self._provider, reason=reason)
        self._is_alone = True

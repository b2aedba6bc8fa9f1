"""Claims and stored responses of one process, with the rules of those in PostgreSQL."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from domain.idempotency.ports import ACCEPTED, KEPT_S, LEASE_S, ClaimResult, StoredAnswer


@dataclass(slots=True)
class _Entry:
    fingerprint: bytes
    holder: str
    lease_until: float
    expires_at: float
    answer: StoredAnswer | None = None


class MemoryAnswers:
    """Idempotency store of a single process. `clock` returns seconds."""

    def __init__(
        self, *, lease_s: float = LEASE_S, kept_s: float = KEPT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease_s = lease_s
        self._kept_s = kept_s
        self._clock = clock
        self._rows: dict[bytes, _Entry] = {}

    async def claim(
        self,
        key: bytes,
        fingerprint: bytes,
        holder: str,
        *,
        tenant_id: str | None = None,  # noqa: ARG002  (one process has nothing to erase)
    ) -> ClaimResult:
        now, row = self._clock(), self._rows.get(key)
        if row is not None and row.expires_at >= now:
            if row.fingerprint != fingerprint:
                return "other_body"
            if row.answer is not None:
                return row.answer
            if row.lease_until >= now:
                return "busy"
        self._rows[key] = _Entry(fingerprint, holder, now + self._lease_s, now + self._kept_s)
        return "claimed"

    async def renew(self, key: bytes, holder: str) -> None:
        if row := self._find_claimed(key, holder):
            row.lease_until = self._clock() + self._lease_s

    async def keep(self, key: bytes, holder: str, answer: StoredAnswer) -> None:
        if row := self._find_claimed(key, holder):
            row.answer = answer

    async def replace(self, key: bytes, answer: StoredAnswer) -> None:
        row = self._rows.get(key)
        if row is not None and row.answer is not None and row.answer.status == ACCEPTED:
            row.answer = answer

    async def release(self, key: bytes, holder: str) -> None:
        if self._find_claimed(key, holder):
            del self._rows[key]

    def _find_claimed(self, key: bytes, holder: str) -> _Entry | None:
        row = self._rows.get(key)
        return row if row is not None and row.holder == holder and row.answer is None else None

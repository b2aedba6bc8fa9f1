"""Ports of idempotency: a store of claims and answers that all processes share."""

from dataclasses import dataclass
from typing import Literal, Protocol

LEASE_S = 6.0
"""The lease of a claim, in seconds: unrenewed for this long it may be taken over, so a repeat waits for a dead API."""

ACCEPTED = 202
JOINS_HEADER = "convergio-joins"
"""A header of stored answers that is never sent: a repeat of the request joins the same work."""

KEPT_S = 24 * 3600.0
"""The retention of answers, in seconds."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The HTTP answer to the first request."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def is_provisional(self) -> bool:
        """Return True if it reports unfinished work whose result a repeat can get."""
        return self.status == ACCEPTED and (JOINS_HEADER, "true") in self.headers


ClaimResult = StoredAnswer | Literal["claimed", "busy", "other_body"]
"""The stored answer; or the caller has the claim; or another attempt has it; or the key was used for another body."""


class AnswerStore(Protocol):
    """Claims and answers by key. `holder` names one attempt; once it has lost the claim, it changes nothing.

    Every method raises `domain.errors.Unavailable` when the store cannot be reached.
    """

    async def claim(self, key: bytes, fingerprint: bytes, holder: str, *, tenant_id: str | None = None) -> ClaimResult:
        """Claim `key` (32 bytes) for a body with this fingerprint. Never waits for another holder.

        `tenant_id` is whose texts the answer may hold: an erasure finds it by that.
        """
        ...

    async def renew(self, key: bytes, holder: str) -> None:
        """Extend the claim by another `LEASE_S`."""
        ...

    async def keep(self, key: bytes, holder: str, answer: StoredAnswer) -> None:
        """Store the answer, which `claim` returns from now on."""
        ...

    async def replace(self, key: bytes, answer: StoredAnswer) -> None:
        """Replace a provisional answer by this one."""
        ...

    async def release(self, key: bytes, holder: str) -> None:
        """Release the claim: the next request does the work."""
        ...

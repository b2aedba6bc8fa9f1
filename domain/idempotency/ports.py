"""What idempotency needs of the outside: a place for claims and answers that all processes share."""

from dataclasses import dataclass
from typing import Literal, Protocol

LEASE_S = 6.0
"""A claim that is not renewed for this long, in seconds, may be taken over: so long a repeat waits for a dead API."""

ACCEPTED = 202
JOINS = "convergio-joins"
"""A header of kept answers, not of those that are sent: the same request again joins the same work."""

KEPT_S = 24 * 3600.0
"""An answer is kept for this long, in seconds."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as it was first given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def is_provisional(self) -> bool:
        """Whether it said that work goes on which a repeat can ask about."""
        return self.status == ACCEPTED and (JOINS, "true") in self.headers


Outcome = Answer | Literal["claimed", "busy", "other_body"]
"""The kept answer; or the caller has the claim; or somebody else has it; or the key stands for another body."""


class Answers(Protocol):
    """Claims and answers by key. `holder` names one attempt; what it no longer holds, it no longer changes.

    Every method raises `domain.errors.Unavailable` when the store cannot be reached.
    """

    async def claim(self, key: bytes, fingerprint: bytes, holder: str) -> Outcome:
        """Claim `key` (32 bytes) for a body with this fingerprint, or say why not. Never waits for another holder."""
        ...

    async def renew(self, key: bytes, holder: str) -> None:
        """Hold the claim for another `LEASE_S`."""
        ...

    async def keep(self, key: bytes, holder: str, answer: Answer) -> None:
        """Keep the answer. It is what `claim` returns from now on."""
        ...

    async def replace(self, key: bytes, answer: Answer) -> None:
        """Keep this answer in the place of a provisional one."""
        ...

    async def release(self, key: bytes, holder: str) -> None:
        """Give the claim up: the next request does the work."""
        ...

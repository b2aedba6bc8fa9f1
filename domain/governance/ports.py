"""What governance needs of the outside: buckets that all processes share."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one request. `full_at` is in Unix seconds, `retry_after` in seconds (0 when allowed)."""

    allowed: bool
    limit: int
    remaining: int
    full_at: int
    retry_after: int = 0


class RateLimiter(Protocol):
    """Token buckets by name: each holds `limit` tokens and refills without a break."""

    async def take(self, bucket: str) -> Verdict | None:
        """Take one token. None means that nothing is limited.

        Raises:
            domain.errors.Unavailable: the buckets cannot be reached.
        """
        ...


class StandInLimiter(RateLimiter, Protocol):
    """Buckets that are always at hand, and take the place of others while those cannot be reached."""

    def follow(self, bucket: str, verdict: Verdict) -> None:
        """Stand where the other bucket stands after this verdict."""
        ...


class Unlimited:
    """The null object of `RateLimiter` and `StandInLimiter`."""

    async def take(self, bucket: str) -> Verdict | None:  # noqa: ARG002  (there is no bucket to look at)
        return None

    def follow(self, bucket: str, verdict: Verdict) -> None:
        """There is nothing to follow."""

"""Ports of governance: token buckets that all processes share."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RateLimitVerdict:
    """The decision on one request. `full_at` is in Unix seconds, `retry_after` in seconds (0 when allowed)."""

    allowed: bool
    limit: int
    remaining: int
    full_at: int
    retry_after: int = 0


class RateLimiter(Protocol):
    """Token buckets by name: each has `limit` tokens and refills continuously."""

    async def take(self, bucket: str) -> RateLimitVerdict | None:
        """Take one token. None means that there is no limit.

        Raises:
            domain.errors.Unavailable: the buckets cannot be reached.
        """
        ...


class FallbackLimiter(RateLimiter, Protocol):
    """Local buckets that replace the shared ones while those cannot be reached."""

    def follow(self, bucket: str, verdict: RateLimitVerdict) -> None:
        """Copy the state of the shared bucket after this verdict."""
        ...


class NoRateLimit:
    """The null object of `RateLimiter` and `FallbackLimiter`."""

    async def take(self, bucket: str) -> RateLimitVerdict | None:  # noqa: ARG002  (there is no bucket to look at)
        return None

    def follow(self, bucket: str, verdict: RateLimitVerdict) -> None:
        """Ignore the verdict."""

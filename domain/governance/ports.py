"""Ports of governance: token buckets that all processes share, and counts of requests and turns."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.governance.objectives import WindowCounts
from domain.governance.projection import SloAlertRow


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


@dataclass(frozen=True, slots=True)
class BucketUse:
    """A bucket with the number of its tokens that are in use: taken, and not refilled yet."""

    bucket: str
    used: int
    full_at: int


class RateLimitReads(Protocol):
    """The buckets as they are: reading takes no token."""

    async def peek(self, bucket: str) -> RateLimitVerdict | None:
        """Return the state of a bucket; `allowed` tells if a token could be taken. None means that there is no limit.

        Raises:
            domain.errors.Unavailable: the buckets cannot be reached.
        """
        ...

    async def busiest(self, limit: int) -> list[BucketUse]:
        """Return the buckets with most tokens in use, the fullest use first.

        Raises:
            domain.errors.Unavailable: the buckets cannot be reached.
        """
        ...


class NoRateLimitReads:
    """The null object of `RateLimitReads`."""

    async def peek(self, bucket: str) -> RateLimitVerdict | None:  # noqa: ARG002  (there is no bucket to look at)
        return None

    async def busiest(self, limit: int) -> list[BucketUse]:  # noqa: ARG002  (the same)
        return []


class RequestRecorder(Protocol):
    """Counts answered requests for service level objectives."""

    def note(self, route: str, method: str, status: int, seconds: float, tenant_id: str) -> None:
        """Count a request by its route's template. It does no I/O."""
        ...


class NoRequestRecorder:
    """The null object of `RequestRecorder`."""

    def note(self, route: str, method: str, status: int, seconds: float, tenant_id: str) -> None:
        """Count nothing."""


NO_RECORDER = NoRequestRecorder()


class SloReads(Protocol):
    """Requests and turns in windows that end now. All methods raise `domain.errors.Unavailable`."""

    def windows(self, now: datetime, tenant_id: str | None) -> dict[int, WindowCounts]:
        """Return the counts by window, of `WINDOWS_S`; of one tenant, or of all with None."""
        ...


class SloMaintenance(SloReads, Protocol):
    """The same, and the upkeep of the counts."""

    def compact(self, now: datetime) -> None:
        """Sum up minutes that only the period needs as hours, and remove what is older."""
        ...


@dataclass(frozen=True, slots=True)
class AlertPage:
    """A page of alerts, newest first; `total` counts all that match."""

    alerts: list[SloAlertRow]
    total: int


class AlertReads(Protocol):
    """Alerts, up to the projection's position."""

    def page(self, *, is_open: bool | None, skip: int, limit: int) -> AlertPage:
        """Return a page of the open or closed alerts, or of all with None."""
        ...

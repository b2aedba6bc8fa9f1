"""Requests the erasure of what is past its retention period."""

from asyncio import to_thread
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

from activities.heartbeat import send_heartbeats
from domain.erasures import aggregate
from domain.erasures.commands import ErasureCommands
from domain.erasures.ports import ExpiringKind, Expiry, OwnerSearch
from domain.errors import Unavailable
from domain.events import Cause
from domain.retention.aggregate import KINDS, Kind
from domain.retention.commands import RetentionCommands
from domain.tenants.ports import TenantReads

_PLATFORM = "platform"
_PAGE = 1_000


@dataclass(frozen=True)
class RetentionResult:
    """The number of erasures that were requested."""

    erasures: int


class RetentionActivities:
    """The activity of the `Retention` workflow. `start` starts an erasure unless it runs."""

    def __init__(
        self,
        periods: RetentionCommands,
        tenants: TenantReads,
        search: OwnerSearch,
        erasures: ErasureCommands,
        *,
        start: Callable[[str], Awaitable[bool]],
        now: Callable[[], datetime],
    ) -> None:
        self._periods = periods
        self._tenants = tenants
        self._search = search
        self._erasures = erasures
        self._start = start
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.apply_retention]

    @activity.defn(name="apply_retention")
    async def apply_retention(self) -> RetentionResult:
        """Request one erasure for each tenant and kind of which something is past its period.

        A repeat within the hour requests none again.
        """
        with send_heartbeats():
            requested = 0
            for tenant_id in await to_thread(lambda: list(self._tenant_ids())):
                _, periods = await to_thread(self._periods.load, tenant_id)
                for kind in KINDS:
                    days = periods.days(kind)
                    requested += days is not None and await self._request(tenant_id, kind, days)
            return RetentionResult(requested)

    async def _request(self, tenant_id: str, kind: Kind, days: int) -> bool:
        now = self._now()
        expiry = Expiry(ExpiringKind(kind), now - timedelta(days=days))
        erasure_id = aggregate.erasure_id_of(tenant_id, f"expired {kind} {now:%Y-%m-%dT%H}")
        if not await to_thread(self._search.of_expired, tenant_id, expiry, erasure_id):
            return False
        cause = Cause(_PLATFORM, erasure_id, now, tenant_id)
        await to_thread(self._erasures.request, erasure_id, "expired", expiry.subject, cause)
        with suppress(Unavailable):  # the request is recorded, and reconciled each minute
            await self._start(erasure_id)
        return True

    def _tenant_ids(self) -> Iterator[str]:
        skip = 0
        while True:
            page = self._tenants.page(None, skip=skip, limit=_PAGE)
            yield from (tenant.id for tenant in page.tenants)
            skip += _PAGE
            if skip >= page.total:
                return

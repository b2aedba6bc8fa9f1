"""The tenants that there are, from a cache that follows their changes, else from the ledger."""

import asyncio

from adapters.postgres.keys.changes import AccessChanges, FollowingCache
from domain.keys.ports import TenantStates
from domain.tenants.aggregate import stream

MAX_CACHED = 1_000


class LiveTenants:
    """Tells which tenants are active."""

    def __init__(self, tenants: TenantStates, changes: AccessChanges) -> None:
        self._tenants = tenants
        self._known: FollowingCache[bool] = FollowingCache(changes, MAX_CACHED)

    async def is_active(self, tenant_id: str) -> bool:
        """Return true if the tenant exists and is not deleted.

        Raises:
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        name = tenant_id.encode()
        known = self._known.get(name)
        if known is None:
            generation = self._known.generation()
            known = await asyncio.to_thread(self._tenants.is_active, tenant_id)
            self._known.put(name, known, (stream(tenant_id),), generation)
        return known

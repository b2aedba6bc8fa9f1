"""Commands on tenants, through the ledger."""

from collections.abc import Callable

from domain.content import Content
from domain.errors import VersionConflict
from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import DEFAULT
from domain.tenants.aggregate import TenantRecord, create, delete, evolve_all, name_owner, stream

Check = Callable[[int], None]
"""Refuses if the tenant's version is not the one the caller knows."""


class TenantCommands:
    """What operators do to tenants. All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def is_active(self, tenant_id: str) -> bool:
        """Return true if the tenant exists and is not deleted; `default` always is."""
        return tenant_id == DEFAULT or self._load(tenant_id).is_active

    def is_deleted(self, tenant_id: str) -> bool:
        """Return true if the tenant was deleted."""
        return self._load(tenant_id).deleted_at is not None

    def create(self, tenant_id: str, name: str, cause: Cause, *, key: str | None) -> TenantRecord:
        """Create a tenant. The cause acts in it.

        Raises:
            Invalid: no tenant can have this id.
            Conflict: the id is taken, or was.
        """
        content = Content(name_owner(tenant_id), name)
        events = create(TenantRecord(), tenant_id, content.hash, cause)
        once = f"tenant.create:{key or random_id('create')}"

        try:  # the append comes first: a repeat is known by its key, and not refused for what it did itself
            self._ledger.append(Change(stream(tenant_id), 0, events), key=once, content=[content])
        except VersionConflict:
            create(self._load(tenant_id), tenant_id, content.hash, cause)
            raise
        return self._load(tenant_id)

    def delete(self, tenant_id: str, cause: Cause, *, check: Check) -> TenantRecord:
        """Delete the tenant: its keys are no longer valid. What was made in it stays.

        Raises:
            NotFound: there is no such tenant.
            Conflict: it is the tenant `default`.
        """

        def write() -> TenantRecord:
            tenant = self._load(tenant_id)
            events = delete(tenant, tenant_id, cause)
            check(tenant.changes)
            if events:
                key = f"tenant.delete:{random_id('delete')}"
                self._ledger.append(Change(stream(tenant_id), tenant.changes, events), key=key)
            return self._load(tenant_id)

        return retry_on_conflict(write)

    def _load(self, tenant_id: str) -> TenantRecord:
        return evolve_all(TenantRecord(), self._ledger.read(stream(tenant_id)))

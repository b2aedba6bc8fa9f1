"""One tenant, and the decisions on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from domain.errors import Conflict, Invalid, NotFound
from domain.events import Cause, Event
from domain.tenant_ids import DEFAULT, refuse_invalid, run_id
from domain.tenants.events import TenantCreated, TenantDeleted, TenantEvent


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """`changes` counts the events."""

    created_at: datetime | None = None
    name_hash: str = ""
    deleted_at: datetime | None = None
    changes: int = 0

    @property
    def is_active(self) -> bool:
        return self.created_at is not None and self.deleted_at is None


def stream(tenant_id: str) -> str:
    return f"tenant:{tenant_id}"


def name_owner(tenant_id: str) -> str:
    """Return the owner of the text that names the tenant: an id that names the tenant, and that no session can have."""
    return run_id("tenant", tenant_id, "name")


def evolve(tenant: TenantRecord, event: Event) -> TenantRecord:
    tenant = replace(tenant, changes=tenant.changes + 1)
    match event:
        case TenantCreated(name_hash=name_hash, at=at):
            return replace(tenant, name_hash=name_hash, created_at=at)
        case TenantDeleted(at=at):
            return replace(tenant, deleted_at=at)
        case _:
            return tenant


def evolve_all(tenant: TenantRecord, events: Iterable[Event]) -> TenantRecord:
    for event in events:
        tenant = evolve(tenant, event)
    return tenant


def create(tenant: TenantRecord, tenant_id: str, name_hash: str, cause: Cause) -> list[TenantEvent]:
    """Create a tenant.

    Raises:
        Invalid: no tenant can have this id.
        Conflict: the id is taken, or was: keys and data of a deleted tenant must not come to life under another name.
    """
    try:
        refuse_invalid(tenant_id)
    except ValueError as error:
        raise Invalid(f"id: {error}", field="id", reason=str(error)) from error
    if tenant_id == DEFAULT or tenant.is_active:
        raise Conflict(f"there is a tenant {tenant_id} already", field="id")
    if tenant.changes:
        raise Conflict(f"the tenant {tenant_id} was deleted, and its id is not given again", field="id")
    return [TenantCreated(name_hash=name_hash, **cause.fields())]


def delete(tenant: TenantRecord, tenant_id: str, cause: Cause) -> list[TenantEvent]:
    """Delete the tenant; nothing if it is deleted already.

    Raises:
        NotFound: there is no such tenant.
        Conflict: it is the tenant `default`.
    """
    if tenant_id == DEFAULT:
        raise Conflict("the tenant default cannot be deleted")
    if tenant.created_at is None:
        raise NotFound(f"there is no tenant {tenant_id}")
    return [TenantDeleted(**cause.fields())] if tenant.is_active else []

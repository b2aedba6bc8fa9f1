"""The read model of tenants. The tenant `default` has no row: it was never created."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.tenants.events import TenantCreated, TenantDeleted


@dataclass(frozen=True, slots=True)
class TenantRow:
    """A tenant. `name_hash` is the content that names it."""

    TABLE: ClassVar[str] = "tenants"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

    id: str
    name_hash: str
    created_at: datetime
    created_by: str
    deleted_at: datetime | None
    version: int


class TenantsProjection:
    """`domain.projection.Projection` of the tenants."""

    name = "tenants"
    kinds: tuple[type[Row], ...] = (TenantRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, TenantDeleted):
            yield TenantRow, (recorded.event.tenant_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case TenantCreated(tenant_id=tenant_id, name_hash=name_hash, at=at, by=by):
                rows.put(TenantRow(tenant_id, name_hash, at, by, None, recorded.version))
            case TenantDeleted(tenant_id=tenant_id, at=at):
                row = rows.get(TenantRow, tenant_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never created")
                rows.put(replace(row, deleted_at=at, version=recorded.version))

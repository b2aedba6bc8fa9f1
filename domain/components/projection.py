"""The read model of components: each with its newest version, and every version."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.components.events import ComponentDeleted, ComponentSaved
from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """A component. Versions up to `deleted_through` were deleted with an earlier one of this id."""

    TABLE: ClassVar[str] = "components"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "component_id")

    tenant_id: str
    component_id: str
    component_type: str
    version: int
    deleted_through: int
    deleted: bool
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class ComponentVersionRow:
    """One version; its texts by their hashes."""

    TABLE: ClassVar[str] = "component_versions"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "component_id", "version")

    tenant_id: str
    component_id: str
    version: int
    component_type: str
    state_hash: str
    metadata_hash: str
    checksum: str
    size: int
    saved_by: str
    saved_at: datetime


class ComponentsProjection:
    """Folds the events of components."""

    name = "components"
    kinds: tuple[type[Row], ...] = (ComponentRow, ComponentVersionRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, ComponentSaved | ComponentDeleted):
            yield ComponentRow, (event.tenant_id, event.component_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ComponentSaved() as event:
                _apply_saved(event, rows)
            case ComponentDeleted(tenant_id=tenant_id, component_id=component_id, component_version=version):
                row = rows.get(ComponentRow, tenant_id, component_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never saved")
                rows.put(replace(row, deleted=True, deleted_through=version))


def _apply_saved(event: ComponentSaved, rows: Rows) -> None:
    before = rows.get(ComponentRow, event.tenant_id, event.component_id)
    rows.put(
        ComponentRow(
            tenant_id=event.tenant_id,
            component_id=event.component_id,
            component_type=event.component_type,
            version=event.component_version,
            deleted_through=before.deleted_through if before else 0,
            deleted=False,
            saved_at=event.at,
        )
    )
    rows.put(to_version_row(event))


def to_version_row(event: ComponentSaved) -> ComponentVersionRow:
    """Return the row of a saved version."""
    return ComponentVersionRow(
        tenant_id=event.tenant_id,
        component_id=event.component_id,
        version=event.component_version,
        component_type=event.component_type,
        state_hash=event.state_hash,
        metadata_hash=event.metadata_hash,
        checksum=event.checksum,
        size=event.size,
        saved_by=event.by,
        saved_at=event.at,
    )

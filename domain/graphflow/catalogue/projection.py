"""The read model of the catalogue: workflows as their newest version describes them, and each version whole."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.graphflow.catalogue.aggregate import SEED
from domain.graphflow.catalogue.events import WorkflowDefined, WorkflowRetired
from domain.projection import Key, Row, Rows
from domain.tenant_ids import DEFAULT, EVERY


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A workflow. `version` is the newest; `changes` counts all that happened to it; `steps` its nodes.

    `ready_made`: it came with the platform; its `tenant_id` is `*`.
    """

    TABLE: ClassVar[str] = "workflows"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "id")

    tenant_id: str
    id: str
    name: str
    description: str
    status: Literal["active", "retired"]
    steps: int
    version: int
    changes: int
    fingerprint: str
    ready_made: bool
    created_at: datetime
    updated_at: datetime
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class WorkflowVersionRow:
    """One version with its whole definition."""

    TABLE: ClassVar[str] = "workflow_versions"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "workflow_id", "version")

    tenant_id: str
    workflow_id: str
    version: int
    definition: dict[str, Any]
    fingerprint: str
    note: str | None
    made_by: str
    created_at: datetime


class WorkflowsProjection:
    """`domain.projection.Projection` of the catalogue."""

    name = "workflows"
    kinds: tuple[type[Row], ...] = (WorkflowRow, WorkflowVersionRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        match recorded.event:
            case WorkflowDefined() | WorkflowRetired() as event:
                yield from ((WorkflowRow, (tenant_id, event.workflow_id)) for tenant_id in _owners(event))

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case WorkflowDefined() as event:
                row = _row(event, _find(rows, event), recorded.version)
                rows.put(row)
                rows.put(_version(event, row.tenant_id))
            case WorkflowRetired(at=at) as event:
                found = _find(rows, event)
                if found is None:
                    raise NotFound(f"{recorded.stream} was never defined")
                retired = replace(found, status="retired", changes=recorded.version, updated_at=at, retired_at=at)
                rows.put(retired)


def _owners(event: WorkflowDefined | WorkflowRetired) -> tuple[str, ...]:
    """Whose the workflow can be: the ready-made ones have their streams among those of the tenant `default`."""
    return (EVERY, DEFAULT) if event.tenant_id == DEFAULT else (event.tenant_id,)


def _find(rows: Rows, event: WorkflowDefined | WorkflowRetired) -> WorkflowRow | None:
    found = (rows.get(WorkflowRow, tenant_id, event.workflow_id) for tenant_id in _owners(event))
    return next((row for row in found if row is not None), None)


def _row(event: WorkflowDefined, before: WorkflowRow | None, changes: int) -> WorkflowRow:
    is_ready_made = before.ready_made if before else event.by == SEED
    return WorkflowRow(
        tenant_id=EVERY if is_ready_made else event.tenant_id,
        id=event.workflow_id,
        name=event.definition["name"],
        description=event.definition.get("description", ""),
        status="active",
        steps=len(event.definition["nodes"]),
        version=event.version,
        changes=changes,
        fingerprint=event.fingerprint,
        ready_made=is_ready_made,
        created_at=before.created_at if before else event.at,
        updated_at=event.at,
        retired_at=None,
    )


def _version(event: WorkflowDefined, tenant_id: str) -> WorkflowVersionRow:
    return WorkflowVersionRow(
        tenant_id=tenant_id,
        workflow_id=event.workflow_id,
        version=event.version,
        definition=event.definition,
        fingerprint=event.fingerprint,
        note=event.note,
        made_by=event.by,
        created_at=event.at,
    )

"""The read model of the catalogue: workflows as their newest version describes them, and each version whole."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from domain.errors import NotFound
from domain.events import Recorded
from domain.graphflow.catalogue.commands import SEED
from domain.graphflow.catalogue.events import WorkflowDefined, WorkflowRetired
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A workflow. `version` is the newest; `changes` counts its events; `steps` its nodes.

    `ready_made`: it came with the platform, whoever has changed it since.
    """

    TABLE: ClassVar[str] = "workflows"
    KEY: ClassVar[tuple[str, ...]] = ("id",)

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
    KEY: ClassVar[tuple[str, ...]] = ("workflow_id", "version")

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

    def touches(self, recorded: Recorded) -> Iterable[tuple[type[Row], Key]]:
        match recorded.event:
            case WorkflowDefined(workflow_id=workflow_id) | WorkflowRetired(workflow_id=workflow_id):
                yield WorkflowRow, (workflow_id,)

    def project(self, recorded: Recorded, rows: Rows) -> None:
        match recorded.event:
            case WorkflowDefined() as event:
                row = rows.get(WorkflowRow, event.workflow_id)
                rows.put(_described(event, row, recorded.version))
                rows.put(_version(event))
            case WorkflowRetired(workflow_id=workflow_id, at=at):
                row = rows.get(WorkflowRow, workflow_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never defined")
                retired = replace(row, status="retired", changes=recorded.version, updated_at=at, retired_at=at)
                rows.put(retired)


def _described(event: WorkflowDefined, before: WorkflowRow | None, changes: int) -> WorkflowRow:
    return WorkflowRow(
        id=event.workflow_id,
        name=event.definition["name"],
        description=event.definition.get("description", ""),
        status="active",
        steps=len(event.definition["nodes"]),
        version=event.version,
        changes=changes,
        fingerprint=event.fingerprint,
        ready_made=before.ready_made if before else event.by == SEED,
        created_at=before.created_at if before else event.at,
        updated_at=event.at,
        retired_at=None,
    )


def _version(event: WorkflowDefined) -> WorkflowVersionRow:
    return WorkflowVersionRow(
        workflow_id=event.workflow_id,
        version=event.version,
        definition=event.definition,
        fingerprint=event.fingerprint,
        note=event.note,
        made_by=event.by,
        created_at=event.at,
    )

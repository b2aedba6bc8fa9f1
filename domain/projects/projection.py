"""The read model of projects: those that are not deleted, without their texts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.projects.events import ProjectCreated, ProjectDeleted, ProjectErased, ProjectEvent, ProjectUpdated


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project. Its texts are the content `texts_hash` of the owner that is its stream."""

    TABLE: ClassVar[str] = "projects"
    KEY: ClassVar[tuple[str, ...]] = ("tenant_id", "id")

    tenant_id: str
    id: int
    texts_hash: str
    status: str
    client_id: int | None
    budget_usd: Decimal | None
    start_date: date | None
    end_date: date | None
    members: list[int]
    created_at: datetime
    updated_at: datetime
    version: int


class ProjectsProjection:
    """`domain.projection.Projection` of projects."""

    name = "projects"
    kinds: tuple[type[Row], ...] = (ProjectRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, ProjectEvent):
            yield ProjectRow, (recorded.event.tenant_id, recorded.event.project_id)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ProjectCreated() as event:
                rows.put(_row(event, event.at, recorded.version))
            case ProjectUpdated() as event:
                row = rows.get(ProjectRow, event.tenant_id, event.project_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never created")
                rows.put(_row(event, row.created_at, recorded.version))
            case ProjectDeleted() | ProjectErased() as event:
                rows.drop(ProjectRow, event.tenant_id, event.project_id)


def _row(event: ProjectCreated | ProjectUpdated, created_at: datetime, version: int) -> ProjectRow:
    plan = event.plan
    return ProjectRow(
        tenant_id=event.tenant_id,
        id=event.project_id,
        texts_hash=event.texts_hash,
        status=plan.status,
        client_id=plan.client_id,
        budget_usd=plan.budget_usd,
        start_date=plan.start_date,
        end_date=plan.end_date,
        members=list(plan.members),
        created_at=created_at,
        updated_at=event.at,
        version=version,
    )

"""One project, and the decisions on it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from domain.errors import Invalid, NotFound
from domain.events import Cause, Event
from domain.projects.events import ProjectCreated, ProjectDeleted, ProjectErased, ProjectEvent, ProjectUpdated
from domain.projects.profile import ProjectPlan
from domain.tenant_ids import stream_prefix

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """`changes` counts the events, the last of which happened at `changed_at`; it is the project's version."""

    id: int = 0
    texts_hash: str = ""
    plan: ProjectPlan = field(default_factory=ProjectPlan)
    deleted: bool = False
    erased: bool = False
    changes: int = 0
    created_at: datetime | None = None
    changed_at: datetime | None = None

    @property
    def is_visible(self) -> bool:
        """Return True if it was created, and neither deleted nor erased."""
        return self.changes > 0 and not self.deleted


def owner_prefix(tenant_id: str) -> str:
    """Return the beginning of the streams of a tenant's projects, which are the owners of their texts too."""
    return stream_prefix("project", tenant_id)


def stream(tenant_id: str, project_id: int) -> str:
    return f"{owner_prefix(tenant_id)}{project_id}"


def evolve(project: ProjectRecord, event: Event) -> ProjectRecord:
    project = replace(project, changes=project.changes + 1, changed_at=event.at)
    match event:
        case ProjectCreated(project_id=project_id, texts_hash=texts, plan=plan, at=at):
            return replace(project, id=project_id, texts_hash=texts, plan=plan, created_at=at)
        case ProjectUpdated(texts_hash=texts, plan=plan):
            return replace(project, texts_hash=texts, plan=plan)
        case ProjectDeleted():
            return replace(project, deleted=True)
        case ProjectErased():
            return replace(project, deleted=True, erased=True)
        case _:
            return project


def evolve_all(project: ProjectRecord, events: Iterable[Event]) -> ProjectRecord:
    for event in events:
        project = evolve(project, event)
    return project


def create(project_id: int, texts_hash: str, plan: ProjectPlan, cause: Cause) -> list[ProjectEvent]:
    """Create the project.

    Raises:
        Invalid: it ends before it starts.
    """
    plan.refuse_wrong_dates()
    return [ProjectCreated(project_id=project_id, texts_hash=texts_hash, plan=plan, **cause.fields())]


def update(
    project: ProjectRecord, texts_hash: str, plan: ProjectPlan, fields: tuple[str, ...], cause: Cause
) -> list[ProjectEvent]:
    """Give these fields other values; nothing if none differs.

    Raises:
        NotFound: the project does not exist or is deleted.
        Invalid: it would end before it starts.
    """
    refuse_hidden(project)
    plan.refuse_wrong_dates()
    if not fields:
        return []
    return [ProjectUpdated(project_id=project.id, fields=fields, texts_hash=texts_hash, plan=plan, **cause.fields())]


def delete(project: ProjectRecord, cause: Cause) -> list[ProjectEvent]:
    """Hide the project.

    Raises:
        NotFound: the project does not exist or is deleted.
    """
    refuse_hidden(project)
    return [ProjectDeleted(project_id=project.id, **cause.fields())]


def erase(project: ProjectRecord, cause: Cause) -> list[ProjectEvent]:
    """Record that all texts are removed; nothing if that is recorded already.

    Raises:
        NotFound: the project never existed.
    """
    if not project.changes:
        raise NotFound("there is no such project")
    return [] if project.erased else [ProjectErased(project_id=project.id, **cause.fields())]


def refuse_hidden(project: ProjectRecord) -> None:
    """Return if the project can be seen.

    Raises:
        NotFound: it cannot.
    """
    if not project.is_visible:
        raise NotFound("there is no such project")


def refuse_unknown(field_name: str, wanted: Collection[int], existing: Collection[int]) -> None:
    """Return if all wanted ids exist.

    Raises:
        Invalid: some do not; `reason` names the first ones.
    """
    if missing := sorted(set(wanted) - set(existing)):
        reason = f"unknown: {', '.join(str(each) for each in missing[:_SHOWN])}"
        raise Invalid(f"{field_name}: {reason}", field=field_name, reason=reason)

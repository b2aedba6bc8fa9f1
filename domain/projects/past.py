"""The past of a project: its history, and its state at a moment. A deleted project has one too."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from domain.content import ContentStore
from domain.errors import NotFound
from domain.events import Event
from domain.ledger import Ledger
from domain.projects import aggregate
from domain.projects.aggregate import Project, evolve_all, stream
from domain.projects.events import ProjectCreated, ProjectDeleted, ProjectUpdated
from domain.projects.ports import ProjectView
from domain.projects.profile import PLAN, TEXTS, ProjectPlan, texts_of
from domain.records.documents import read_documents
from domain.records.history import HistoryEntry, events_until, history_entry


class ProjectPast:
    """Reads the past of projects from the ledger."""

    def __init__(self, ledger: Ledger, content: ContentStore) -> None:
        self._ledger = ledger
        self._content = content

    def history(self, tenant_id: str, project_id: int) -> list[HistoryEntry]:
        """Return all events of a project, oldest first.

        Raises:
            NotFound: there never was such a project.
        """
        events = self._events(tenant_id, project_id)
        hashes = {event.texts_hash for event in events if isinstance(event, ProjectCreated | ProjectUpdated)}
        documents = read_documents(self._content, stream(tenant_id, project_id), hashes)
        return [_entry(version, event, documents) for version, event in enumerate(events, 1)]

    def state_at(self, tenant_id: str, project_id: int, moment: datetime) -> ProjectView:
        """Return the project as it was at the moment.

        Raises:
            NotFound: it did not exist then, or was deleted.
        """
        project = evolve_all(Project(), events_until(self._events(tenant_id, project_id), moment))
        aggregate.refuse_hidden(project)
        if project.created_at is None or project.changed_at is None:
            raise NotFound("there is no such project")
        documents = read_documents(self._content, stream(tenant_id, project_id), [project.texts_hash])
        texts = texts_of(documents.get(project.texts_hash))
        return ProjectView(project.id, project.plan, project.created_at, project.changed_at, project.changes, texts)

    def _events(self, tenant_id: str, project_id: int) -> Sequence[Event]:
        events = self._ledger.read(stream(tenant_id, project_id))
        if not events:
            raise NotFound("there is no such project")
        return events


def _entry(version: int, event: Event, documents: Mapping[str, dict[str, Any]]) -> HistoryEntry:
    match event:
        case ProjectCreated(texts_hash=texts, plan=plan):
            return history_entry(version, event, "created", (*TEXTS, *PLAN), _values(documents.get(texts), plan))
        case ProjectUpdated(fields=fields, texts_hash=texts, plan=plan):
            return history_entry(version, event, "updated", fields, _values(documents.get(texts), plan))
        case ProjectDeleted():
            return history_entry(version, event, "deleted")
        case _:
            return history_entry(version, event, "erased")


def _values(document: Mapping[str, Any] | None, plan: ProjectPlan) -> dict[str, Any]:
    values = plan.model_dump()
    budget = values["budget_usd"]
    return {**(document or {}), **values, "budget_usd": None if budget is None else float(budget)}

"""The past of a project: its history, and its state at a moment. A deleted project has one too."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.events import Event
from domain.projects.aggregate import ProjectRecord, evolve_all, refuse_hidden, stream
from domain.projects.commands import to_view
from domain.projects.events import ProjectCreated, ProjectDeleted, ProjectUpdated
from domain.projects.ports import ProjectView
from domain.projects.profile import PLAN, TEXTS, ProjectPlan, texts_of
from domain.records.history import HistoryEntry, history_entry
from domain.records.past import Documents, RecordPast


class ProjectPast(RecordPast[ProjectView]):
    """Reads the past of projects from the ledger."""

    noun = "project"

    def _stream(self, tenant_id: str, record_id: int) -> str:
        return stream(tenant_id, record_id)

    def _texts_hash(self, event: Event) -> str | None:
        return event.texts_hash if isinstance(event, ProjectCreated | ProjectUpdated) else None

    def _view(self, events: Sequence[Event], documents: Documents) -> ProjectView:
        project = evolve_all(ProjectRecord(), events)
        refuse_hidden(project)
        return to_view(project, texts_of(documents.get(project.texts_hash)))

    def _entry(self, version: int, event: Event, documents: Documents) -> HistoryEntry:
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

"""Commands on projects, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from domain.content import ContentEraser, ContentStore
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.projects import aggregate
from domain.projects.aggregate import ProjectRecord, evolve_all, refuse_unknown, stream
from domain.projects.ports import KnownRecords, ProjectView
from domain.projects.profile import PLAN, TEXTS, ProjectPlan, ProjectTexts, texts_of
from domain.records.documents import read_documents
from domain.records.integer_ids import IntegerIds
from domain.records.repeats import is_repeat

Check = Callable[[int], None]
"""Refuses if the project's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class ProjectDraft:
    """A project to create."""

    texts: ProjectTexts
    plan: ProjectPlan


class ProjectCommands:
    """Commands of people on their tenant's projects. `clients` and `talents` are what a project may name.

    All commands raise `domain.errors.Unavailable` where the ledger cannot be reached.
    """

    def __init__(
        self,
        ledger: Ledger,
        content: ContentStore,
        ids: IntegerIds,
        eraser: ContentEraser,
        *,
        clients: KnownRecords,
        talents: KnownRecords,
    ) -> None:
        self._ledger = ledger
        self._content = content
        self._ids = ids
        self._eraser = eraser
        self._clients = clients
        self._talents = talents

    def get(self, tenant_id: str, project_id: int) -> ProjectView:
        """Return the project as it stands.

        Raises:
            NotFound: there is none of this id, or it is deleted.
        """
        project = self._visible(tenant_id, project_id)
        return to_view(project, self._texts(tenant_id, project))

    def create(self, new: ProjectDraft, cause: Cause, *, key: str | None) -> ProjectView:
        """Create a project; with a key, a repeat returns the project that was created.

        Raises:
            Invalid: the client or a member is unknown, or the project ends before it starts.
        """
        self._refuse_unknown(cause.tenant_id, ProjectPlan(), new.plan)
        project_id = self._ids.reserve(cause.tenant_id, "project", key=key)
        own, once = stream(cause.tenant_id, project_id), f"project.create:{key or random_id('create')}"

        def write() -> ProjectView:
            document = new.texts.as_content(own)
            events = aggregate.create(project_id, document.hash, new.plan, cause)
            created = Change(own, 0, events)
            if is_repeat(self._ledger, created, once):
                existing = self._load(cause.tenant_id, project_id)
                return to_view(existing, self._texts(cause.tenant_id, existing))
            self._ledger.append(created, key=once, content=[document])
            return to_view(evolve_all(ProjectRecord(), events), new.texts)

        return retry_on_conflict(write)

    def update(self, project_id: int, changes: Mapping[str, Any], cause: Cause, *, check: Check) -> ProjectView:
        """Change the given fields; those that have the value already do not count.

        A client or members that the project has already may have been deleted meanwhile.

        Raises:
            NotFound: there is no such project, or its texts were erased.
            Invalid: a new client or member is unknown, or the project would end before it starts.
        """
        own, once = stream(cause.tenant_id, project_id), random_id("change")

        def write() -> ProjectView:
            before = self._visible(cause.tenant_id, project_id)
            check(before.changes)
            texts = self._texts(cause.tenant_id, before)
            if texts is None:
                raise NotFound("the texts of this project were erased")
            changed = replace(texts, **{name: changes[name] for name in TEXTS if name in changes})
            plan = before.plan.model_copy(update={name: changes[name] for name in PLAN if name in changes})
            self._refuse_unknown(cause.tenant_id, before.plan, plan)
            fields = _differences(TEXTS, texts, changed) + _differences(PLAN, before.plan, plan)
            document = changed.as_content(own)
            events = aggregate.update(before, document.hash, plan, fields, cause)
            if events:
                self._ledger.append(Change(own, before.changes, events), key=once, content=[document])
            return to_view(evolve_all(before, events), changed)

        return retry_on_conflict(write)

    def delete(self, project_id: int, cause: Cause, *, check: Check) -> None:
        """Hide the project. Calls and runs that name it stay linked to it.

        Raises:
            NotFound: there is no such project.
        """
        once = random_id("change")

        def write() -> None:
            before = self._visible(cause.tenant_id, project_id)
            check(before.changes)
            self._append(before, project_id, aggregate.delete(before, cause), cause, once)

        retry_on_conflict(write)

    def erase(self, project_id: int, cause: Cause, *, key: str) -> None:
        """Remove all texts about the project, in every version, and hide it. A repeat removes what may be left.

        Raises:
            NotFound: there never was such a project.
        """

        def write() -> None:
            before = self._load(cause.tenant_id, project_id)
            if events := aggregate.erase(before, cause):
                self._append(before, project_id, events, cause, f"project.erase:{key}")

        retry_on_conflict(write)
        # after the event: an update that was decided before it cannot be recorded any more, and so stores no text
        self._eraser.erase(stream(cause.tenant_id, project_id))

    def _refuse_unknown(self, tenant_id: str, before: ProjectPlan, after: ProjectPlan) -> None:
        if after.client_id is not None and after.client_id != before.client_id:
            wanted = [after.client_id]
            refuse_unknown("client_id", wanted, self._clients.find_existing(tenant_id, wanted))
        if joining := [member for member in after.members if member not in set(before.members)]:
            refuse_unknown("members", joining, self._talents.find_existing(tenant_id, joining))

    def _append(self, before: ProjectRecord, project_id: int, events: Sequence[Event], cause: Cause, key: str) -> None:
        self._ledger.append(Change(stream(cause.tenant_id, project_id), before.changes, events), key=key)

    def _load(self, tenant_id: str, project_id: int) -> ProjectRecord:
        return evolve_all(ProjectRecord(), self._ledger.read(stream(tenant_id, project_id)))

    def _visible(self, tenant_id: str, project_id: int) -> ProjectRecord:
        project = self._load(tenant_id, project_id)
        aggregate.refuse_hidden(project)
        return project

    def _texts(self, tenant_id: str, project: ProjectRecord) -> ProjectTexts | None:
        owner = stream(tenant_id, project.id)
        return texts_of(read_documents(self._content, owner, [project.texts_hash]).get(project.texts_hash))


def _differences(names: Sequence[str], before: object, after: object) -> tuple[str, ...]:
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def to_view(project: ProjectRecord, texts: ProjectTexts | None) -> ProjectView:
    """Return the project as readers see it.

    Raises:
        NotFound: it was never created.
    """
    if project.created_at is None or project.changed_at is None:
        raise NotFound("there is no such project")
    return ProjectView(project.id, project.plan, project.created_at, project.changed_at, project.changes, texts)

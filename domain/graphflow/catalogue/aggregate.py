"""One workflow: its versions, which never change, and the decisions on it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.errors import Conflict, NotFound, TooLarge
from domain.events import Cause, Event
from domain.graphflow.catalogue.events import WorkflowDefined, WorkflowRetired
from domain.graphflow.definition.documents import canonical, definition_from, document_of, fingerprint
from domain.graphflow.definition.model import Definition
from domain.tenant_ids import stream_prefix

SEED = "seed"
"""Who the events of the ready-made workflows are `by`."""
LARGEST = 256 * 1024
"""Limit on a definition, in bytes of its canonical form."""


@dataclass(frozen=True, slots=True)
class DefinitionVersion:
    """A definition with its author, time and note."""

    document: Mapping[str, Any]
    fingerprint: str
    by: str
    at: datetime
    note: str | None = None

    @property
    def definition(self) -> Definition:
        """The parsed definition."""
        return definition_from(self.document)


@dataclass(frozen=True, slots=True)
class Workflow:
    """`versions[n - 1]` is version n; new runs get the last. `changes` counts the events, the last at `changed_at`."""

    versions: tuple[DefinitionVersion, ...] = ()
    retired: bool = False
    changes: int = 0
    changed_at: datetime | None = None

    @property
    def ready_made(self) -> bool:
        """Whether it came with the platform: all tenants see it, and none changes it."""
        return bool(self.versions) and self.versions[0].by == SEED

    @property
    def newest(self) -> DefinitionVersion:
        return self.versions[-1]

    def version(self, number: int | None = None) -> DefinitionVersion:
        """Return a version by its number, or the newest.

        Raises:
            NotFound: there is none of that number.
        """
        wanted = len(self.versions) if number is None else number
        if not 1 <= wanted <= len(self.versions):
            raise NotFound(f"the workflow has no version {wanted}")
        return self.versions[wanted - 1]


def stream(tenant_id: str, workflow_id: str) -> str:
    return f"{stream_prefix('workflow', tenant_id)}{workflow_id}"


def evolve(workflow: Workflow, event: Event) -> Workflow:
    workflow = replace(workflow, changes=workflow.changes + 1, changed_at=event.at)
    match event:
        case WorkflowDefined(definition=document, fingerprint=print_, by=by, at=at, note=note):
            return replace(workflow, versions=(*workflow.versions, DefinitionVersion(document, print_, by, at, note)))
        case WorkflowRetired():
            return replace(workflow, retired=True)
        case _:
            return workflow


def evolve_all(workflow: Workflow, events: Iterable[Event]) -> Workflow:
    for event in events:
        workflow = evolve(workflow, event)
    return workflow


def define(
    workflow_id: str, workflow: Workflow, definition: Definition, cause: Cause, note: str | None = None
) -> list[WorkflowDefined]:
    """Add a new version; nothing if it equals the newest.

    Raises:
        Conflict: the workflow is retired.
        TooLarge: the definition exceeds 256 KiB.
    """
    if workflow.retired:
        raise Conflict("the workflow is retired", workflow_id=workflow_id)
    if len(canonical(definition)) > LARGEST:
        raise TooLarge(f"a definition may have {LARGEST} bytes at most in its canonical form", limit=LARGEST)
    print_ = fingerprint(definition)
    if workflow.versions and workflow.newest.fingerprint == print_:
        return []
    event = WorkflowDefined(
        workflow_id=workflow_id,
        version=len(workflow.versions) + 1,
        definition=document_of(definition),
        fingerprint=print_,
        note=note,
        **cause.fields(),
    )
    return [event]


def retire(workflow_id: str, workflow: Workflow, cause: Cause) -> list[WorkflowRetired]:
    """Retire the workflow for new runs; nothing if it is retired already.

    Raises:
        NotFound: there is no such workflow.
    """
    if not workflow.versions:
        raise NotFound("there is no such workflow")
    return [] if workflow.retired else [WorkflowRetired(workflow_id=workflow_id, **cause.fields())]

"""Ownership of workflow names, and the derivation of ids.

A workflow keeps its id for ever, and the name of its newest version while it is active. Each name is a stream of its
own with one owner at a time: of two concurrent claims one is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from domain.display_names import fold_name, id_part
from domain.errors import Conflict
from domain.events import Cause, Event
from domain.graphflow.catalogue.aggregate import Workflow
from domain.graphflow.catalogue.events import WorkflowNameClaimed, WorkflowNameReleased
from domain.ids import derived_id
from domain.ledger import Change
from domain.tenant_ids import stream_prefix

PREFIX = "workflow_"
_LONGEST = 64
_LONGEST_STREAM = 500
"""Limit on stream names, in bytes: an index entry of PostgreSQL may have about five times that."""


def id_of(name: str) -> str:
    """Return the id of the first workflow of this name: letters, digits and underscores."""
    return f"{PREFIX}{id_part(name)[:_LONGEST].rstrip('_')}"


def further_id(name: str, key: str) -> str:
    """Return the id of a later workflow of this name. The same key gives the same id."""
    return f"{id_of(name)}_{derived_id('workflow', key)[:8]}"


def name_stream(tenant_id: str, name: str) -> str:
    """Where a tenant records whose a name is."""
    text = fold_name(name)
    bounded = text if len(text.encode()) <= _LONGEST_STREAM else sha256(text.encode()).hexdigest()
    return f"{stream_prefix('workflow_name', tenant_id)}{bounded}"


def owned_name_streams(tenant_id: str, workflow: Workflow) -> frozenset[str]:
    """The streams of the names that are the workflow's, in its tenant."""
    is_active = workflow.versions and not workflow.retired
    return frozenset({name_stream(tenant_id, workflow.newest.document["name"])} if is_active else ())


def owner_of(claims: Iterable[Event]) -> str | None:
    """Return the owner of a name, by the events of its stream; None if it is free."""
    workflow_id = None
    for event in claims:
        match event:
            case WorkflowNameClaimed():
                workflow_id = event.workflow_id
            case WorkflowNameReleased():
                workflow_id = None
    return workflow_id


def name_changes(
    workflow_id: str, before: Workflow, after: Workflow, claims: Mapping[str, Sequence[Event]], cause: Cause
) -> list[Change]:
    """Return the changes to the streams of names: a new name is claimed, one left behind released.

    Raises:
        Conflict: another workflow has the new name; `workflow_id` says which.
    """
    had, has = owned_name_streams(cause.tenant_id, before), owned_name_streams(cause.tenant_id, after)
    changes: list[Change] = []
    for name in sorted(had ^ has):
        stands = claims.get(name, ())
        owner = owner_of(stands)
        if name in has and owner not in {None, workflow_id}:
            raise name_conflict(after.newest.document["name"], owner)
        if (name in has) != (owner == workflow_id):
            event = WorkflowNameClaimed if name in has else WorkflowNameReleased
            changes.append(Change(name, len(stands), [event(workflow_id=workflow_id, **cause.fields())]))
    return changes


def name_conflict(name: str, workflow_id: str | None) -> Conflict:
    return Conflict(f"there is a workflow {name} already", field="name", workflow_id=workflow_id)

"""Whose a name is, and what ids are made of.

A workflow keeps its id for ever, and the name of its newest version while it is active. Each name is a stream of its
own that only one workflow can be the holder of: of two who want it at once, one is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from domain.display_names import folded, plain
from domain.errors import Conflict
from domain.events import Cause, Event
from domain.graphflow.catalogue.aggregate import Workflow
from domain.graphflow.catalogue.events import WorkflowNameClaimed, WorkflowNameReleased
from domain.ids import derived
from domain.ledger import Change

PREFIX = "workflow_"
_LONGEST = 64
_LONGEST_STREAM = 500
"""Bytes: an index of PostgreSQL takes no more than five times that."""


def id_of(name: str) -> str:
    """The id of the first workflow of this name: letters, digits and underscores."""
    return f"{PREFIX}{plain(name)[:_LONGEST].rstrip('_')}"


def further_id(name: str, key: str) -> str:
    """The id of one that comes after another had the first. The same key gives the same id."""
    return f"{id_of(name)}_{derived('workflow', key)[:8]}"


def name_stream(name: str) -> str:
    text = folded(name)
    return f"workflow_name:{text if len(text.encode()) <= _LONGEST_STREAM else sha256(text.encode()).hexdigest()}"


def held(workflow: Workflow) -> frozenset[str]:
    """The streams of the names that are the workflow's."""
    is_active = workflow.versions and not workflow.retired
    return frozenset({name_stream(workflow.newest.document["name"])} if is_active else ())


def holder(claims: Iterable[Event]) -> str | None:
    """Whose a name is, by the events of its stream."""
    workflow_id = None
    for event in claims:
        match event:
            case WorkflowNameClaimed():
                workflow_id = event.workflow_id
            case WorkflowNameReleased():
                workflow_id = None
    return workflow_id


def passed_on(
    workflow_id: str, before: Workflow, after: Workflow, claims: Mapping[str, Sequence[Event]], cause: Cause
) -> list[Change]:
    """What a change of a workflow does to the streams of names: a new one is claimed, one left behind released.

    Raises:
        Conflict: another workflow has the new name; `workflow_id` says which.
    """
    has = held(after)
    changes: list[Change] = []
    for name in sorted(held(before) ^ has):
        stands = claims.get(name, ())
        owner = holder(stands)
        if name in has and owner not in {None, workflow_id}:
            raise taken(after.newest.document["name"], owner)
        if (name in has) != (owner == workflow_id):
            event = WorkflowNameClaimed if name in has else WorkflowNameReleased
            changes.append(Change(name, len(stands), [event(workflow_id=workflow_id, **cause.fields())]))
    return changes


def taken(name: str, workflow_id: str | None) -> Conflict:
    return Conflict(f"there is a workflow {name} already", field="name", workflow_id=workflow_id)

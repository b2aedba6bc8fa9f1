"""What can happen to workflows and their runs. A workflow's stream is `workflow:<workflow_id>`.

For tenants other than `default` it is `workflow~<tenant>:<workflow_id>`.
"""

from typing import Any

from domain.events import Event
from domain.graphflow.execution.events import RUN_EVENTS


class WorkflowDefined(Event):
    """A version was added; versions count from 1. `definition` is a document of the language, at most 256 KiB.

    `fingerprint` is the SHA-256, in hex, of its canonical form; `note` is the author's change note.
    """

    NAME = "graphflow.defined"

    workflow_id: str
    version: int
    definition: dict[str, Any]
    fingerprint: str
    note: str | None = None


class WorkflowRetired(Event):
    """No new run of it starts. Running ones keep their version."""

    NAME = "graphflow.retired"

    workflow_id: str


class WorkflowNameClaimed(Event):
    """The workflow owns a name. Its stream is `workflow_name:<folded name>`: one owner at a time."""

    NAME = "graphflow.name_claimed"
    IS_CLAIM = True

    workflow_id: str


class WorkflowNameReleased(Event):
    """The workflow no longer owns the name; another one may claim it."""

    NAME = "graphflow.name_released"
    IS_CLAIM = True

    workflow_id: str


DEFINITION_EVENTS: tuple[type[Event], ...] = (
    WorkflowDefined,
    WorkflowRetired,
    WorkflowNameClaimed,
    WorkflowNameReleased,
)
EVENTS: tuple[type[Event], ...] = (*DEFINITION_EVENTS, *RUN_EVENTS)

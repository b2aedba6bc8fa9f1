"""What can happen to workflows and their runs. A workflow's stream is `workflow:<workflow_id>`."""

from typing import Any

from domain.events import Event
from domain.graphflow.execution.events import RUN_EVENTS


class WorkflowDefined(Event):
    """A version was written down; versions count from 1. `definition` is a document of the language, at most 256 KiB.

    `fingerprint` is the SHA-256, in hex, of its canonical form; `note` says what is new, in its author's words.
    """

    NAME = "graphflow.defined"

    workflow_id: str
    version: int
    definition: dict[str, Any]
    fingerprint: str
    note: str | None = None


class WorkflowRetired(Event):
    """No new run of it begins. What runs goes on in its version."""

    NAME = "graphflow.retired"

    workflow_id: str


class WorkflowNameClaimed(Event):
    """A name is this workflow's. Its stream is `workflow_name:<folded name>`: one holder at a time."""

    NAME = "graphflow.name_claimed"

    workflow_id: str


class WorkflowNameReleased(Event):
    """This workflow no longer needs the name; another one may claim it."""

    NAME = "graphflow.name_released"

    workflow_id: str


DEFINITION_EVENTS: tuple[type[Event], ...] = (
    WorkflowDefined,
    WorkflowRetired,
    WorkflowNameClaimed,
    WorkflowNameReleased,
)
EVENTS: tuple[type[Event], ...] = (*DEFINITION_EVENTS, *RUN_EVENTS)

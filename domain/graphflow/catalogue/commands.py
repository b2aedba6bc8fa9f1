"""Commands on workflows, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from domain.errors import NotFound, VersionConflict
from domain.events import Cause, Event
from domain.graphflow.catalogue import names as claims
from domain.graphflow.catalogue.aggregate import Workflow, define, evolved, retire, stream
from domain.graphflow.catalogue.names import passed_on
from domain.graphflow.definition.documents import fingerprint
from domain.graphflow.definition.model import Definition
from domain.ids import derived, random_id
from domain.ledger import Change, Ledger, retrying

SEED = "seed"
"""The `by` of the events of ready-made workflows."""

Check = Callable[[int], None]
"""Refuses if the workflow's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A workflow's current state, with its id."""

    workflow_id: str
    workflow: Workflow


class WorkflowCommands:
    """Commands on workflows. All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def standing(self, workflow_id: str) -> Standing:
        """Load a workflow.

        Raises:
            NotFound: there is none of this id.
        """
        past = self._ledger.read(stream(workflow_id))
        if not past:
            raise NotFound(f"there is no workflow {workflow_id}")
        return Standing(workflow_id, evolved(Workflow(), past))

    def create(self, definition: Definition, cause: Cause, *, key: str, note: str | None = None) -> Standing:
        """Create a workflow with its first version. Its id is derived from its name.

        Raises:
            Conflict: an active workflow has the name; `workflow_id` says which.
            TooLarge: the definition has more than 256 KiB.
        """
        first, further = claims.id_of(definition.name), claims.further_id(definition.name, key)

        def write() -> Standing:
            there = evolved(Workflow(), self._ledger.read(stream(first)))
            is_free = not there.versions or claims.name_stream(definition.name) in claims.held(there)
            workflow_id = first if is_free else further
            events = define(workflow_id, Workflow(), definition, cause, note)
            try:
                written = self._append(workflow_id, Workflow(), events, cause, key)
            except VersionConflict:  # not a repeat: its idempotency key would have been recognized
                if there.versions and is_free:
                    raise claims.taken(definition.name, first) from None
                raise
            if written:
                return self.standing(workflow_id)
            return self.standing(further if self._ledger.read(stream(further)) else first)

        return retrying(write)

    def redefine(
        self, standing: Standing, definition: Definition, cause: Cause, *, note: str | None = None
    ) -> Standing:
        """Add the next version of a workflow in this state; nothing if it equals the newest.

        Raises:
            VersionConflict: its state has changed.
            Conflict: it is retired, or its new name is another's.
            TooLarge: the definition has more than 256 KiB.
        """
        workflow_id, workflow = standing.workflow_id, standing.workflow
        if events := define(workflow_id, workflow, definition, cause, note):
            self._append(workflow_id, workflow, events, cause, random_id("change"))
        return self.standing(workflow_id)

    def retire(self, workflow_id: str, cause: Cause, *, check: Check) -> Standing:
        """Retire the workflow for new runs, and release its name.

        Raises:
            NotFound: there is no such workflow.
        """

        def write() -> Standing:
            workflow = self.standing(workflow_id).workflow
            check(workflow.changes)
            if events := retire(workflow_id, workflow, cause):
                self._append(workflow_id, workflow, events, cause, random_id("change"))
            return self.standing(workflow_id)

        return retrying(write)

    def _append(self, workflow_id: str, before: Workflow, events: Sequence[Event], cause: Cause, key: str) -> bool:
        """Append, together with the changes of names. Returns False when the key was used before."""
        after = evolved(before, events)
        known = self._ledger.read_many(sorted(claims.held(before) ^ claims.held(after)))
        moved = passed_on(workflow_id, before, after, known, cause)
        return self._ledger.append(Change(stream(workflow_id), before.changes, events), *moved, key=key) is not None


def seed(ledger: Ledger, definitions: Mapping[str, Definition], at: datetime) -> list[str]:
    """Bring the catalogue to the state of the ready-made files, by id; return the ids of changed workflows.

    What exists is left as it is; so is a workflow that somebody else changed or retired, and one whose name was given
    to another.

    Raises:
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    return [
        workflow_id
        for workflow_id, definition in definitions.items()
        if retrying(partial(_seed_one, ledger, workflow_id, definition, at))
    ]


def _seed_one(ledger: Ledger, workflow_id: str, definition: Definition, at: datetime) -> bool:
    cause = Cause(by=SEED, because="ready-made", at=at)
    past = ledger.read(stream(workflow_id))
    before = evolved(Workflow(), past)
    if before.retired or (before.versions and before.newest.by != SEED):
        return False
    events = define(workflow_id, before, definition, cause)
    after = evolved(before, events)
    known = ledger.read_many(sorted(claims.held(before) | claims.held(after)))
    if not events or not {claims.holder(stands) for stands in known.values()} <= {None, workflow_id}:
        return False
    moved = passed_on(workflow_id, before, after, known, cause)
    # The stream's length is part of the key: a file that goes back to an earlier text is a change again.
    key = derived("workflows.seed", workflow_id, fingerprint(definition), len(past))
    return ledger.append(Change(stream(workflow_id), len(past), events), *moved, key=key) is not None

"""Commands on workflows, through the ledger."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from domain.errors import Forbidden, NotFound, VersionConflict
from domain.events import Cause, Event
from domain.graphflow.catalogue import names as claims
from domain.graphflow.catalogue.aggregate import SEED, Workflow, define, evolve_all, retire, stream
from domain.graphflow.catalogue.names import name_changes
from domain.graphflow.definition.documents import fingerprint
from domain.graphflow.definition.model import Definition
from domain.ids import derived_id, random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import DEFAULT

Check = Callable[[int], None]
"""Refuses if the workflow's version is not the one the caller knows."""


@dataclass(frozen=True, slots=True)
class WorkflowState:
    """A workflow's current state, with its id."""

    workflow_id: str
    workflow: Workflow


def read_workflow(ledger: Ledger, tenant_id: str, workflow_id: str) -> list[Event]:
    """The events of the workflow that a tenant knows by this id: its own, or else the ready-made one."""
    own = ledger.read(stream(tenant_id, workflow_id))
    if own or tenant_id == DEFAULT:
        return own
    shared = ledger.read(stream(DEFAULT, workflow_id))
    return shared if shared and shared[0].by == SEED else []


class WorkflowCommands:
    """What people do to their tenant's workflows.

    The ready-made workflows are every tenant's to see, and nobody's to change. All commands raise
    `domain.errors.Unavailable` where the ledger is away.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, tenant_id: str, workflow_id: str) -> WorkflowState:
        """The workflow of this tenant, or the ready-made one, as it stands.

        Raises:
            NotFound: there is none of this id.
        """
        past = read_workflow(self._ledger, tenant_id, workflow_id)
        if not past:
            raise NotFound(f"there is no workflow {workflow_id}")
        return WorkflowState(workflow_id, evolve_all(Workflow(), past))

    def create(self, definition: Definition, cause: Cause, *, key: str, note: str | None = None) -> WorkflowState:
        """Create a workflow with its first version. Its id is derived from its name.

        Raises:
            Conflict: an active workflow has the name; `workflow_id` says which.
            TooLarge: the definition has more than 256 KiB.
        """
        tenant_id = cause.tenant_id
        first, further = claims.id_of(definition.name), claims.further_id(definition.name, key)

        def write() -> WorkflowState:
            there = evolve_all(Workflow(), read_workflow(self._ledger, tenant_id, first))
            has_name = claims.name_stream(tenant_id, definition.name) in claims.owned_name_streams(tenant_id, there)
            if there.ready_made and has_name:
                raise claims.name_conflict(definition.name, first)
            is_free = not there.versions or has_name
            workflow_id = first if is_free else further
            events = define(workflow_id, Workflow(), definition, cause, note)
            try:
                written = self._append(workflow_id, Workflow(), events, cause, key)
            except VersionConflict:  # not a repeat: its idempotency key would have been recognized
                if there.versions and is_free:
                    raise claims.name_conflict(definition.name, first) from None
                raise
            if written:
                return self.load(tenant_id, workflow_id)
            return self.load(tenant_id, further if self._ledger.read(stream(tenant_id, further)) else first)

        return retry_on_conflict(write)

    def redefine(
        self, standing: WorkflowState, definition: Definition, cause: Cause, *, note: str | None = None
    ) -> WorkflowState:
        """Write down the next version of a workflow that stands so; nothing if it says what the newest says already.

        Raises:
            Forbidden: it is ready-made.
            VersionConflict: it no longer stands so.
            Conflict: it is retired, or its new name is another's.
            TooLarge: the definition has more than 256 KiB.
        """
        workflow_id, workflow = standing.workflow_id, standing.workflow
        _refuse_ready_made(standing)
        if events := define(workflow_id, workflow, definition, cause, note):
            self._append(workflow_id, workflow, events, cause, random_id("change"))
        return self.load(cause.tenant_id, workflow_id)

    def retire(self, workflow_id: str, cause: Cause, *, check: Check) -> WorkflowState:
        """Take it out of service for new runs, and give its name back.

        Raises:
            NotFound: there is no such workflow.
            Forbidden: it is ready-made.
        """

        def write() -> WorkflowState:
            standing = self.load(cause.tenant_id, workflow_id)
            _refuse_ready_made(standing)
            workflow = standing.workflow
            check(workflow.changes)
            if events := retire(workflow_id, workflow, cause):
                self._append(workflow_id, workflow, events, cause, random_id("change"))
            return self.load(cause.tenant_id, workflow_id)

        return retry_on_conflict(write)

    def _append(self, workflow_id: str, before: Workflow, events: Sequence[Event], cause: Cause, key: str) -> bool:
        """Append, together with the changes of names. Returns False when the key was used before."""
        after, tenant_id = evolve_all(before, events), cause.tenant_id
        had, has = claims.owned_name_streams(tenant_id, before), claims.owned_name_streams(tenant_id, after)
        if tenant_id != DEFAULT and has - had:
            self._refuse_ready_made_name(after.newest.document["name"])
        known = self._ledger.read_many(sorted(had ^ has))
        moved = name_changes(workflow_id, before, after, known, cause)
        change = Change(stream(tenant_id, workflow_id), before.changes, events)
        return self._ledger.append(change, *moved, key=key) is not None

    def _refuse_ready_made_name(self, name: str) -> None:
        """Refuse the name of a ready-made workflow: all tenants see it, and the tenant `default` holds its name."""
        owner = claims.owner_of(self._ledger.read(claims.name_stream(DEFAULT, name)))
        if owner is not None and evolve_all(Workflow(), self._ledger.read(stream(DEFAULT, owner))).ready_made:
            raise claims.name_conflict(name, owner)


def _refuse_ready_made(standing: WorkflowState) -> None:
    if standing.workflow.ready_made:
        workflow_id = standing.workflow_id
        raise Forbidden("a ready-made workflow cannot be changed: write one of your own", workflow_id=workflow_id)


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
        if retry_on_conflict(partial(_seed_one, ledger, workflow_id, definition, at))
    ]


def _seed_one(ledger: Ledger, workflow_id: str, definition: Definition, at: datetime) -> bool:
    cause = Cause(by=SEED, because="ready-made", at=at, tenant_id=DEFAULT)
    own = stream(DEFAULT, workflow_id)
    past = ledger.read(own)
    before = evolve_all(Workflow(), past)
    if before.retired or (before.versions and before.newest.by != SEED):
        return False
    events = define(workflow_id, before, definition, cause)
    after = evolve_all(before, events)
    known = ledger.read_many(
        sorted(claims.owned_name_streams(DEFAULT, before) | claims.owned_name_streams(DEFAULT, after))
    )
    if not events or not {claims.owner_of(stands) for stands in known.values()} <= {None, workflow_id}:
        return False
    moved = name_changes(workflow_id, before, after, known, cause)
    # The stream's length is part of the key: a file that goes back to an earlier text is a change again.
    key = derived_id("workflows.seed", workflow_id, fingerprint(definition), len(past))
    return ledger.append(Change(own, len(past), events), *moved, key=key) is not None

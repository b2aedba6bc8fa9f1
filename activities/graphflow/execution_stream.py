"""The event streams of runs: read once, cached while runs are worked on here, appended to optimistically."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from threading import Lock
from typing import Self, TypeGuard, TypeVar

from domain.content import Content
from domain.errors import DomainError
from domain.events import Event
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import WorkflowRun
from domain.graphflow.execution.events import NodeBegun, NodeEnded, RunEnded, RunStarted
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, PendingAppend, retry_on_conflict
from domain.signatures.ports import NO_SIGNER, Signer
from domain.signatures.statements import ExecutionResult

RunChanges = tuple[list[Event], list[Content]]
RunDecision = Callable[[WorkflowRun], RunChanges]
E = TypeVar("E", NodeBegun, NodeEnded)

_GATES = 64
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class RunAppend:
    """The changes to append to a run's stream, their texts, and the run after them."""

    changes: tuple[Change, ...]
    content: tuple[Content, ...]
    run: WorkflowRun
    underway: PendingAppend


class RunStreams:
    """Reads and appends runs. A decision on a stale version is repeated, so that nothing stale is written.

    The nodes of one run decide one after the other in this process, each on top of pending appends; among processes the
    later one retries.
    """

    def __init__(self, ledger: Ledger, signer: Signer = NO_SIGNER) -> None:
        self._ledger = ledger
        self._signer = signer
        self._known: OrderedDict[str, WorkflowRun] = OrderedDict()
        self._ahead: dict[str, tuple[WorkflowRun, PendingAppend]] = {}
        self._gates = tuple(Lock() for _ in range(_GATES))
        self._lock = Lock()

    def with_signature(self, run: WorkflowRun, events: Sequence[Event]) -> list[Event]:
        """Return the events decided on a run, with the signature of its end among them."""
        begun = run.started or next((event for event in events if isinstance(event, RunStarted)), None)
        return [
            event.model_copy(update={"signature": self._signer.sign(_result(begun, event).statement())})
            if isinstance(event, RunEnded) and begun is not None
            else event
            for event in events
        ]

    def read(self, execution_id: str, *, seen: int = 0) -> WorkflowRun:
        """Return a run from the cache, at version `seen` or later."""
        known = self._from_cache(execution_id)
        return known if known.version >= max(seen, 1) else self._catch_up(execution_id, known)

    def find_event(self, execution_id: str, kind: type[E], place: tuple[str, int, int]) -> E | None:
        """Return the event of this kind about exactly this attempt (node, iteration, attempt).

        It searches the whole stream, for workflows that are replayed: the ledger may be far ahead of them.
        """
        known = (event for event in self._ledger.read(runs.stream(execution_id)) if isinstance(event, kind))
        return next((event for event in known if (event.node, event.visit, event.attempt) == place), None)

    def find_start(self, execution_id: str, ended: NodeEnded) -> NodeBegun | None:
        """Return the start of the attempt that ended so."""
        return self.find_event(execution_id, NodeBegun, (ended.node, ended.visit, ended.attempt))

    def find_completion(self, execution_id: str, node: str, visit: int) -> NodeEnded | None:
        """Return the event that completed a node's iteration."""
        known = self._ledger.read(runs.stream(execution_id))
        return next((event for event in known if _is_completion(event, node, visit)), None)

    def read_until(self, execution_id: str, node: str, visit: int) -> WorkflowRun:
        """Return a run as it was when this iteration of a node had just completed."""
        run = WorkflowRun()
        for event in self._ledger.read(runs.stream(execution_id)):
            run = runs.evolve(run, event)
            if _is_completion(event, node, visit):
                break
        return run

    def open_writer(self, execution_id: str) -> "RunWriter":
        """Return a writer, which serializes the decisions on a run in this process."""
        return RunWriter(self, execution_id, self._gates[hash(execution_id) % _GATES])

    def write(self, execution_id: str, decide: RunDecision, *, key: str) -> WorkflowRun:
        """Decide and append under an idempotency key; return the run after it.

        Raises:
            VersionConflict: the tries are exhausted.
        """
        try:
            return self._write_once(execution_id, decide, key, fresh=False)
        except DomainError:  # a version conflict, or a decision on a stale version
            again = partial(self._write_once, execution_id, decide, key, fresh=True)
            return retry_on_conflict(again, tries=MANY_TRIES, pause_s=BRIEF_S)

    def _write_once(self, execution_id: str, decide: RunDecision, key: str, *, fresh: bool) -> WorkflowRun:
        with self.open_writer(execution_id) as writing:
            entry = writing.entry(decide, fresh=fresh)
            if not entry.changes:
                return entry.run
            key = append_key(execution_id, key)
            if self._ledger.append(*entry.changes, key=key, content=entry.content, underway=entry.underway) is None:
                return self.read_latest(execution_id)
            writing.mark_appended(entry)
            return entry.run

    def read_latest(self, execution_id: str) -> WorkflowRun:
        """Return a run as it is in the ledger."""
        return self._catch_up(execution_id, self._from_cache(execution_id))

    def with_pending(self, execution_id: str) -> tuple[WorkflowRun, PendingAppend | None]:
        """Return a run with its pending append applied; at version 0 if it is not cached."""
        with self._lock:
            known, ahead = self._known.get(execution_id, WorkflowRun()), self._ahead.get(execution_id)
        if ahead is None or ahead[1].failed or ahead[0].version <= known.version:
            return known, None
        return ahead

    def note_pending(self, execution_id: str, run: WorkflowRun, underway: PendingAppend) -> None:
        """Note the run's state after a pending append."""
        with self._lock:
            self._ahead[execution_id] = run, underway

    def clear_pending(self, execution_id: str, underway: PendingAppend) -> None:
        """Forget a pending append that has succeeded or failed."""
        with self._lock:
            # another append may have become the pending one meanwhile
            if (ahead := self._ahead.get(execution_id)) is not None and ahead[1] is underway:
                del self._ahead[execution_id]

    def cache(self, execution_id: str, run: WorkflowRun) -> WorkflowRun:
        """Cache a run as it is in the ledger."""
        with self._lock:
            # threads may finish out of order: never replace a newer state by an older one
            if run.version >= self._known.get(execution_id, run).version:
                self._known[execution_id] = run
            self._known.move_to_end(execution_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return run

    def _catch_up(self, execution_id: str, run: WorkflowRun) -> WorkflowRun:
        newer: Sequence[Event] = self._ledger.read(runs.stream(execution_id), after=run.version)
        return self.cache(execution_id, reduce(runs.evolve, newer, run))

    def _from_cache(self, execution_id: str) -> WorkflowRun:
        with self._lock:
            return self._known.get(execution_id, WorkflowRun())


def append_key(execution_id: str, key: str) -> str:
    """Return the ledger's idempotency key for an append to a run, given its key within the run."""
    return f"run:{execution_id}:{key}"


def _result(begun: RunStarted, ended: RunEnded) -> ExecutionResult:
    return ExecutionResult(
        tenant_id=ended.tenant_id,
        execution_id=ended.execution_id,
        workflow_id=begun.workflow_id,
        version=begun.version,
        status=ended.status,
        input_hash=begun.input_hash,
        content_hash=ended.output_hash,
        at=ended.at,
    )


def _is_completion(event: Event, node: str, visit: int) -> TypeGuard[NodeEnded]:
    return isinstance(event, NodeEnded) and (event.node, event.visit, event.status) == (node, visit, "completed")


class RunWriter:
    """Holds the run's lock until the decided changes are queued for appending.

    The lock is released as soon as they are queued, so that the next node can decide on top of the pending append; with
    a stale version the ledger refuses both.
    """

    def __init__(self, journal: RunStreams, execution_id: str, gate: Lock) -> None:
        self._journal = journal
        self._execution_id = execution_id
        self._gate = gate
        self._holds = False
        self._underway: PendingAppend | None = None

    def __enter__(self) -> Self:
        # released as soon as the changes are queued, possibly in another thread
        self._holds = self._gate.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        if self._underway is not None:
            self._journal.clear_pending(self._execution_id, self._underway)
            self._underway = None
        if self._holds:
            self._release()

    def entry(self, decide: RunDecision, *, fresh: bool = False) -> RunAppend:
        """Decide the changes. With `fresh` the stream is read, which is required after a version conflict.

        Changes on a freshly read stream are not offered to others as pending: they may meet another conflict.
        """
        run, after = self._journal.with_pending(self._execution_id)
        is_read = fresh or not run.version
        if is_read:
            run = self._journal.read_latest(self._execution_id)
        events, content = decide(run)
        # a cached run may be stale: check the ledger before deciding that there is nothing to do
        if not events and not is_read:
            return self.entry(decide, fresh=True)
        events = self._journal.with_signature(run, events)
        changes = [Change(runs.stream(self._execution_id), run.version, events)] if events else []
        stands = reduce(runs.evolve, events, run)
        underway = PendingAppend() if is_read else PendingAppend(after, lambda: self._queue(stands, underway))
        return RunAppend(tuple(changes), tuple(content), stands, underway)

    def mark_appended(self, entry: RunAppend) -> None:
        """Cache the run after the append has succeeded."""
        self._journal.cache(self._execution_id, entry.run)

    def _queue(self, run: WorkflowRun, underway: PendingAppend) -> None:
        self._journal.note_pending(self._execution_id, run, underway)
        self._underway = underway
        self._release()

    def _release(self) -> None:
        self._holds = False
        self._gate.release()

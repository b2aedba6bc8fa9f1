"""The streams of runs: read once, kept while they are worked on here, appended to where they stand."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from threading import Lock
from typing import Self, TypeGuard, TypeVar

from domain.content import Content
from domain.errors import Refused
from domain.events import Event
from domain.graphflow.execution import aggregate as runs
from domain.graphflow.execution.aggregate import Run
from domain.graphflow.execution.events import NodeBegun, NodeEnded
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, Underway, retrying

Decided = tuple[list[Event], list[Content]]
Decide = Callable[[Run], Decided]
E = TypeVar("E", NodeBegun, NodeEnded)

_GATES = 64
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be appended to a run's stream, the texts that go with it, and the run as it stands then."""

    changes: tuple[Change, ...]
    content: tuple[Content, ...]
    run: Run
    underway: Underway


class Journal:
    """What is decided is decided again when the stream stood elsewhere, so nothing stale is ever written.

    The nodes of one run decide one after the other in this process, each on what those before are about to append;
    among processes whoever comes second tries again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[str, Run] = OrderedDict()
        self._ahead: dict[str, tuple[Run, Underway]] = {}
        self._gates = tuple(Lock() for _ in range(_GATES))
        self._lock = Lock()

    def read(self, execution_id: str, *, seen: int = 0) -> Run:
        """A run as it is known here, at version `seen` or later."""
        known = self._recall(execution_id)
        return known if known.version >= max(seen, 1) else self._caught_up(execution_id, known)

    def recorded(self, execution_id: str, kind: type[E], place: tuple[str, int, int]) -> E | None:
        """The event of this kind that is about this very attempt (node, visit, attempt), from the run's beginning on.

        For runs that are gone through again: they may be far ahead in the ledger.
        """
        known = (event for event in self._ledger.read(runs.stream(execution_id)) if isinstance(event, kind))
        return next((event for event in known if (event.node, event.visit, event.attempt) == place), None)

    def begun(self, execution_id: str, ended: NodeEnded) -> NodeBegun | None:
        """How the attempt began that has ended so."""
        return self.recorded(execution_id, NodeBegun, (ended.node, ended.visit, ended.attempt))

    def completed(self, execution_id: str, node: str, visit: int) -> NodeEnded | None:
        """The end of a visit that has completed."""
        known = self._ledger.read(runs.stream(execution_id))
        return next((event for event in known if _is_completion(event, node, visit)), None)

    def as_it_was(self, execution_id: str, node: str, visit: int) -> Run:
        """A run as it stood when this visit of a node had just completed."""
        run = Run()
        for event in self._ledger.read(runs.stream(execution_id)):
            run = runs.evolve(run, event)
            if _is_completion(event, node, visit):
                break
        return run

    def writing(self, execution_id: str) -> "Writing":
        """Somebody is about to write to a run."""
        return Writing(self, execution_id, self._gates[hash(execution_id) % _GATES])

    def write(self, execution_id: str, decide: Decide, *, key: str) -> Run:
        """Append what is decided, under an idempotency key. Returns the run as it stands then.

        Raises:
            VersionConflict: others came first again and again.
        """
        try:
            return self._written(execution_id, decide, key, fresh=False)
        except Refused:  # a conflict of versions, or of what was known here with what others have written since
            again = partial(self._written, execution_id, decide, key, fresh=True)
            return retrying(again, tries=MANY_TRIES, pause_s=BRIEF_S)

    def _written(self, execution_id: str, decide: Decide, key: str, *, fresh: bool) -> Run:
        with self.writing(execution_id) as writing:
            entry = writing.entry(decide, fresh=fresh)
            if not entry.changes:
                return entry.run
            key = append_key(execution_id, key)
            if self._ledger.append(*entry.changes, key=key, content=entry.content, underway=entry.underway) is None:
                return self.fresh(execution_id)
            writing.appended(entry)
            return entry.run

    def fresh(self, execution_id: str) -> Run:
        """A run as it stands in the ledger."""
        return self._caught_up(execution_id, self._recall(execution_id))

    def newest(self, execution_id: str) -> tuple[Run, Underway | None]:
        """A run as it will stand if what is under way here is appended; not read yet, if nothing is known of it."""
        with self._lock:
            known, ahead = self._known.get(execution_id, Run()), self._ahead.get(execution_id)
        if ahead is None or ahead[1].failed or ahead[0].version <= known.version:
            return known, None
        return ahead

    def expect(self, execution_id: str, run: Run, underway: Underway) -> None:
        """A run will stand so if this is appended."""
        with self._lock:
            self._ahead[execution_id] = run, underway

    def over(self, execution_id: str, underway: Underway) -> None:
        """This has been appended, or will not be."""
        with self._lock:
            if (ahead := self._ahead.get(execution_id)) is not None and ahead[1] is underway:
                del self._ahead[execution_id]

    def keep(self, execution_id: str, run: Run) -> Run:
        """A run stands so in the ledger."""
        with self._lock:
            if run.version >= self._known.get(execution_id, run).version:
                self._known[execution_id] = run
            self._known.move_to_end(execution_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return run

    def _caught_up(self, execution_id: str, run: Run) -> Run:
        newer: Sequence[Event] = self._ledger.read(runs.stream(execution_id), after=run.version)
        return self.keep(execution_id, reduce(runs.evolve, newer, run))

    def _recall(self, execution_id: str) -> Run:
        with self._lock:
            return self._known.get(execution_id, Run())


def append_key(execution_id: str, key: str) -> str:
    """The idempotency key of an append to a run, by its key among those of the run."""
    return f"run:{execution_id}:{key}"


def _is_completion(event: Event, node: str, visit: int) -> TypeGuard[NodeEnded]:
    return isinstance(event, NodeEnded) and (event.node, event.visit, event.status) == (node, visit, "completed")


class Writing:
    """Nobody else in this process decides on a run until what is decided here is in line to be appended."""

    def __init__(self, journal: Journal, execution_id: str, gate: Lock) -> None:
        self._journal = journal
        self._execution_id = execution_id
        self._gate = gate
        self._holds = False
        self._underway: Underway | None = None

    def __enter__(self) -> Self:
        self._holds = self._gate.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        if self._underway is not None:
            self._journal.over(self._execution_id, self._underway)
            self._underway = None
        if self._holds:
            self._pass_on()

    def entry(self, decide: Decide, *, fresh: bool = False) -> Entry:
        """What is decided. With `fresh` the stream is read, as it has to be when others came first.

        Then nobody goes on from it before it stands: it may be that others come first again.
        """
        run, after = self._journal.newest(self._execution_id)
        is_read = fresh or not run.version
        if is_read:
            run = self._journal.fresh(self._execution_id)
        events, content = decide(run)
        if not events and not is_read:
            return self.entry(decide, fresh=True)
        changes = [Change(runs.stream(self._execution_id), run.version, events)] if events else []
        stands = reduce(runs.evolve, events, run)
        underway = Underway() if is_read else Underway(after, lambda: self._in_line(stands, underway))
        return Entry(tuple(changes), tuple(content), stands, underway)

    def appended(self, entry: Entry) -> None:
        """The entry was appended."""
        self._journal.keep(self._execution_id, entry.run)

    def _in_line(self, run: Run, underway: Underway) -> None:
        self._journal.expect(self._execution_id, run, underway)
        self._underway = underway
        self._pass_on()

    def _pass_on(self) -> None:
        self._holds = False
        self._gate.release()

"""The streams of runs: read once, kept while they are worked on here, appended to where they stand."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from threading import Lock
from typing import TypeVar

from domain.content import Content
from domain.errors import Refused
from domain.events import Event
from domain.graphflow import run as runs
from domain.graphflow.run import Run
from domain.graphflow.run_events import NodeBegun, NodeEnded
from domain.ledger import Change, Ledger, retrying

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


class Journal:
    """What is decided is decided again when the stream stood elsewhere, so nothing stale is ever written.

    The nodes of one run append one at a time in this process; among processes whoever comes second tries again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known: OrderedDict[str, Run] = OrderedDict()
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

    def gate(self, execution_id: str) -> AbstractContextManager[object]:
        """Keeps the other nodes of this run from appending in this process."""
        return self._gates[hash(execution_id) % _GATES]

    def entry(self, execution_id: str, decide: Decide, *, fresh: bool = False) -> Entry:
        """What is decided, to be appended by somebody else together with events of other streams, inside the `gate`.

        With `fresh` the stream is read, as it has to be when others came first.
        """
        recalled = self._recall(execution_id)
        run = self._fresh(execution_id) if fresh else self.read(execution_id)
        events, content = decide(run)
        if not events and run is recalled and not fresh:
            return self.entry(execution_id, decide, fresh=True)
        changes = [Change(runs.stream(execution_id), run.version, events)] if events else []
        return Entry(tuple(changes), tuple(content), reduce(runs.evolve, events, run))

    def appended(self, execution_id: str, entry: Entry) -> None:
        """The entry was appended."""
        self._keep(execution_id, entry.run)

    def write(self, execution_id: str, decide: Decide, *, key: str) -> Run:
        """Append what is decided, under an idempotency key. Returns the run as it stands then.

        Raises:
            VersionConflict: others came first again and again.
        """
        with self.gate(execution_id):
            recalled = self._recall(execution_id)
            known = self.read(execution_id)
            try:
                written = self._written(execution_id, known, decide, key)
                if written is not recalled:
                    return written
            except Refused:  # a conflict of versions, or of what was known here with what others have written since
                pass
            return retrying(lambda: self._written(execution_id, self._fresh(execution_id), decide, key), tries=8)

    def _written(self, execution_id: str, run: Run, decide: Decide, key: str) -> Run:
        events, content = decide(run)
        if not events:
            return run
        change = Change(runs.stream(execution_id), run.version, events)
        if self._ledger.append(change, key=f"run:{execution_id}:{key}", content=content) is None:
            return self._fresh(execution_id)
        return self._keep(execution_id, reduce(runs.evolve, events, run))

    def _fresh(self, execution_id: str) -> Run:
        return self._caught_up(execution_id, self._recall(execution_id))

    def _caught_up(self, execution_id: str, run: Run) -> Run:
        newer: Sequence[Event] = self._ledger.read(runs.stream(execution_id), after=run.version)
        return self._keep(execution_id, reduce(runs.evolve, newer, run))

    def _recall(self, execution_id: str) -> Run:
        with self._lock:
            return self._known.get(execution_id, Run())

    def _keep(self, execution_id: str, run: Run) -> Run:
        with self._lock:
            if run.version >= self._known.get(execution_id, run).version:
                self._known[execution_id] = run
            self._known.move_to_end(execution_id)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        return run

"""The budgets of runs: what a call's events move in one, in the same append."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from domain.costs import budget
from domain.costs.aggregate import Intent
from domain.costs.events import CallCut, CallFailed, CallSettled
from domain.events import Cause, Event
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, retrying

T = TypeVar("T")

_GATES = 64


class Budgets:
    """Budgets by the run they belong to. Calls without one pass through at no cost.

    All calls of a run append to one stream, so that each moves on from where the one before left it: in this process
    they go one at a time, and among processes whoever comes second tries again.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._gates = tuple(Lock() for _ in range(_GATES))

    def read(self, root_id: str) -> budget.Budget:
        """What a run has spent and reserved."""
        return budget.standing(*self._ledger.read_latest(budget.stream(root_id)))

    def reserving(self, intent: Intent, attempt: int, cause: Cause) -> list[Change]:
        """What an attempt sets aside.

        Raises:
            OverBudget: it does not fit any more.
        """
        if intent.budget_usd is None:
            return []
        root_id, _ = budget.bounds(intent)
        found = self.read(root_id)
        reserved = budget.reserve(found, intent, attempt, cause)
        return [Change(budget.stream(root_id), found.version, [reserved])]

    def settling(self, intent: Intent, events: Sequence[Event]) -> list[Change]:
        """What the end of an attempt sets free and spends; nothing if its end is not known."""
        ended = next((event for event in events if isinstance(event, CallSettled | CallCut | CallFailed)), None)
        if intent.budget_usd is None or ended is None:
            return []
        root_id, _ = budget.bounds(intent)
        found = self.read(root_id)
        return [Change(budget.stream(root_id), found.version, [budget.settle(found, intent, ended)])]

    def alone(self, intent: Intent, write: Callable[[], T]) -> T:
        """Run a command on a call, one at a time of those that share a budget in this process."""
        if intent.budget_usd is None:
            return write()
        with self._gates[hash(intent.root_id) % _GATES]:
            return write()

    def retrying(self, intent: Intent, write: Callable[[], T], *, shared: bool = False) -> T:
        """The same, again when somebody else appended first: with a budget that is to be expected, and soon over.

        So it is when the call has another stream that is `shared` with other calls.

        Raises:
            VersionConflict: it happened too often.
        """
        if intent.budget_usd is None and not shared:
            return retrying(write)
        return retrying(lambda: self.alone(intent, write), tries=MANY_TRIES, pause_s=BRIEF_S)

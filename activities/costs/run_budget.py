"""Budgets of runs: the budget changes of a call, in the same append as its events."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from domain.costs import budget
from domain.costs.aggregate import CallIntent
from domain.costs.events import CallCut, CallFailed, CallSettled
from domain.events import Cause, Event
from domain.ledger import BRIEF_S, MANY_TRIES, Change, Ledger, retry_on_conflict

T = TypeVar("T")

_GATES = 64


class RunBudgets:
    """Budgets by root run. Calls without one pass through at no cost.

    All calls of a run append to one budget stream, each at the version the one before left: in this process they run
    one at a time, and among processes the later one retries.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        # striped locks: a fixed number, whatever the number of runs
        self._gates = tuple(Lock() for _ in range(_GATES))

    def read(self, root_id: str) -> budget.RunBudget:
        """Return the amounts that a run has spent and reserved."""
        return budget.budget_after(*self._ledger.read_latest(budget.stream(root_id)))

    def reservation_changes(self, intent: CallIntent, attempt: int, cause: Cause) -> list[Change]:
        """Return the change that reserves an attempt's worst case.

        Raises:
            OverBudget: the budget does not cover it.
        """
        if intent.budget_usd is None:
            return []
        root_id, _ = budget.limit_of(intent)
        found = self.read(root_id)
        reserved = budget.reserve(found, intent, attempt, cause)
        return [Change(budget.stream(root_id), found.version, [reserved])]

    def settlement_changes(self, intent: CallIntent, events: Sequence[Event]) -> list[Change]:
        """Return the change that releases a reservation and records the cost; none if the attempt's end is unknown."""
        ended = next((event for event in events if isinstance(event, CallSettled | CallCut | CallFailed)), None)
        if intent.budget_usd is None or ended is None:
            return []
        root_id, _ = budget.limit_of(intent)
        found = self.read(root_id)
        return [Change(budget.stream(root_id), found.version, [budget.settle(found, intent, ended)])]

    def run_exclusively(self, intent: CallIntent, write: Callable[[], T]) -> T:
        """Run a command on a call, one at a time among those that share a budget in this process."""
        if intent.budget_usd is None:
            return write()
        with self._gates[hash(intent.root_id) % _GATES]:
            return write()

    def retry(self, intent: CallIntent, write: Callable[[], T], *, shared: bool = False) -> T:
        """Run it, and retry after a version conflict: with a budget, conflicts are expected and brief.

        The same holds when the call has another stream that is `shared` with other calls.

        Raises:
            VersionConflict: the tries are exhausted.
        """
        if intent.budget_usd is None and not shared:
            return retry_on_conflict(write)
        return retry_on_conflict(lambda: self.run_exclusively(intent, write), tries=MANY_TRIES, pause_s=BRIEF_S)

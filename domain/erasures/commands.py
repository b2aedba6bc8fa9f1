"""Commands on erasures, through the ledger."""

from domain.erasures import aggregate
from domain.erasures.aggregate import Erasure, ErasureCounts
from domain.erasures.events import Kind
from domain.events import Cause
from domain.ledger import Change, Ledger, retry_on_conflict


class ErasureCommands:
    """All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, erasure_id: str) -> Erasure:
        """Return an erasure; one that was never requested has version 0."""
        return aggregate.load(self._ledger.read(aggregate.stream(erasure_id)))

    def request(self, erasure_id: str, kind: Kind, subject: str, cause: Cause) -> Erasure:
        """Record the request, once, and return the erasure."""
        change = Change(aggregate.stream(erasure_id), 0, aggregate.request(erasure_id, kind, subject, cause))
        self._ledger.append(change, key=aggregate.request_key(erasure_id))
        return self.load(erasure_id)

    def complete(self, erasure_id: str, counts: ErasureCounts, cause: Cause) -> None:
        """Record that nothing is left, once.

        Raises:
            NotFound: there is no such erasure.
        """

        def write() -> None:
            erasure = self.load(erasure_id)
            if events := aggregate.complete(erasure, counts, cause):
                change = Change(aggregate.stream(erasure_id), erasure.version, events)
                self._ledger.append(change, key=f"erasure.complete:{erasure_id}")

        retry_on_conflict(write)

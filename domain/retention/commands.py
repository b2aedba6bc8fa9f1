"""Commands on retention periods, through the ledger."""

from collections.abc import Callable, Mapping

from domain.events import Cause
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.retention import aggregate
from domain.retention.aggregate import Periods

Check = Callable[[int], None]
"""Refuses if the version is not the one the caller knows."""


class RetentionCommands:
    """All raise `domain.errors.Unavailable` where the ledger cannot be reached."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, tenant_id: str) -> tuple[int, Periods]:
        """Return the version of a tenant's periods, 0 while nobody has set them, and the periods."""
        version, newest = self._ledger.read_latest(aggregate.stream(tenant_id))
        return version, aggregate.load(newest)

    def set_periods(self, changes: Mapping[str, int | None], cause: Cause, *, check: Check) -> tuple[int, Periods]:
        """Set the periods that are named. Returns the new version and all periods.

        `check` refuses if the version is not the one the caller knows.
        """

        def write() -> tuple[int, Periods]:
            version, periods = self.load(cause.tenant_id)
            check(version)
            if events := aggregate.set_periods(periods, changes, cause):
                change = Change(aggregate.stream(cause.tenant_id), version, events)
                self._ledger.append(change, key=random_id("change"))
            return self.load(cause.tenant_id)

        return retry_on_conflict(write)

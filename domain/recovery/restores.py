"""Restorations, as the database remembers them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.recovery.report import SettledItem


@dataclass(frozen=True, slots=True)
class Restore:
    """A restoration of the backup of `moment`, when the ledger's last position was `head`.

    `with_temporal`: Temporal's store of the same moment was restored with it. `resume`: work in progress is to go on.
    """

    backup_id: str
    moment: datetime
    head: int
    with_temporal: bool
    resume: bool


class Restores(Protocol):
    """The restorations of this database."""

    def newest_pending(self) -> Restore | None:
        """Return the newest restoration that was not reconciled."""
        ...

    def mark_reconciled(self, report: list[SettledItem]) -> None:
        """Record that all were reconciled, with the report of it. Workers and APIs may start from then on."""
        ...

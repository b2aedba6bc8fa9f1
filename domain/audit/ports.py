"""Port of the audit."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.audit.projection import AuditRow

MOST_COUNTED = 10_000
"""Number of entries up to which a total is counted."""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """The entries of one tenant; None lets all of them through. `since` is included, `until` is not.

    `before` is the position of an entry: only older ones follow.
    """

    tenant_id: str
    by: str | None = None
    kind: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of entries; `total` counts those that match, up to `MOST_COUNTED`."""

    entries: list[AuditRow]
    total: int


class AuditReads(Protocol):
    """The entries, newest first: by the time of their decision, then by their position."""

    def page(self, wanted: AuditFilter, *, skip: int, limit: int) -> AuditPage: ...

    def export(self, wanted: AuditFilter) -> Iterator[list[AuditRow]]:
        """Yield all entries that exist now, in batches. Memory and database time are bounded by one batch."""
        ...

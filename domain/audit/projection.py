"""The read model of the audit: one row for each event."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.tenant_ids import unqualified


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An event by its place in the ledger. `kind` is its stable name, `subject` the id of what it happened to."""

    TABLE: ClassVar[str] = "audit"
    KEY: ClassVar[tuple[str, ...]] = ("position",)

    position: int
    tenant_id: str
    at: datetime
    kind: str
    subject: str
    by: str
    because: str


class AuditProjection:
    """Copies the causes of all events but claims of names."""

    name = "audit"
    kinds: tuple[type[Row], ...] = (AuditRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        del recorded
        return ()  # each event is a new row

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        event = recorded.event
        if event.IS_CLAIM:
            return
        rows.put(
            AuditRow(
                position=recorded.position,
                tenant_id=event.tenant_id,
                at=event.at,
                kind=event.NAME,
                subject=subject_of(recorded.stream),
                by=event.by,
                because=event.because,
            )
        )


def subject_of(stream: str) -> str:
    """Return the id that a stream is named by, as its tenant knows it: `ada` of `agent~acme:ada`."""
    return unqualified(stream.partition(":")[2] or stream)

"""The read model of erasures."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar, Literal

from domain.erasures.events import ErasureCompleted, ErasureRequested
from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows

Status = Literal["running", "completed"]


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """An erasure. The counts are None until it is completed."""

    TABLE: ClassVar[str] = "erasures"
    KEY: ClassVar[tuple[str, ...]] = ("erasure_id",)

    erasure_id: str
    tenant_id: str
    kind: str
    subject: str
    status: Status
    requested_by: str
    requested_at: datetime
    completed_at: datetime | None
    owners: int | None
    texts: int | None
    answers: int | None
    histories: int | None


class ErasuresProjection:
    """`domain.projection.Projection` of erasures."""

    name = "erasures"
    kinds: tuple[type[Row], ...] = (ErasureRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, ErasureCompleted):
            yield ErasureRow, (recorded.event.erasure_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case ErasureRequested() as event:
                rows.put(_to_row(event))
            case ErasureCompleted() as event:
                row = rows.get(ErasureRow, event.erasure_id)
                if row is None:
                    raise NotFound(f"{recorded.stream} was never requested")
                rows.put(
                    replace(
                        row,
                        status="completed",
                        completed_at=event.at,
                        owners=event.owners,
                        texts=event.texts,
                        answers=event.answers,
                        histories=event.histories,
                    )
                )


def _to_row(event: ErasureRequested) -> ErasureRow:
    return ErasureRow(
        erasure_id=event.erasure_id,
        tenant_id=event.tenant_id,
        kind=event.kind,
        subject=event.subject,
        status="running",
        requested_by=event.by,
        requested_at=event.at,
        completed_at=None,
        owners=None,
        texts=None,
        answers=None,
        histories=None,
    )

"""The read model of circuits: the state of each, and its last move."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows
from domain.providers.events import CircuitClosed, CircuitHalfOpened, CircuitOpened

Move = CircuitOpened | CircuitHalfOpened | CircuitClosed


@dataclass(frozen=True, slots=True)
class CircuitRow:
    """The circuit of a model that has moved at least once. `retry_at` and `error` are None while it is closed."""

    TABLE: ClassVar[str] = "provider_circuits"
    KEY: ClassVar[tuple[str, ...]] = ("provider", "model")

    provider: str
    model: str
    state: Literal["closed", "open", "half_open"]
    changed_at: datetime
    opened_at: datetime | None
    retry_at: datetime | None
    error: str | None
    openings: int


class ProvidersProjection:
    """`domain.projection.Projection` of the circuits."""

    name = "providers"
    kinds: tuple[type[Row], ...] = (CircuitRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        event = recorded.event
        if isinstance(event, Move):
            yield CircuitRow, (event.provider, event.model)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        event = recorded.event
        if not isinstance(event, Move):
            return
        before = rows.get(CircuitRow, event.provider, event.model)
        place = event.provider, event.model
        match event:
            case CircuitOpened(at=at, retry_at=retry_at, error=error, openings=openings):
                opened = before.opened_at if before and before.opened_at and openings > 1 else at
                rows.put(CircuitRow(*place, "open", at, opened, retry_at, error, openings))
            case CircuitHalfOpened(at=at, retry_at=retry_at, openings=openings):
                opened_at, cause = (before.opened_at, before.error) if before else (None, None)
                rows.put(CircuitRow(*place, "half_open", at, opened_at, retry_at, cause, openings))
            case CircuitClosed(at=at):
                rows.put(CircuitRow(*place, "closed", at, None, None, None, 0))

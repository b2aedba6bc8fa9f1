"""The read model of alerts on service level objectives."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.errors import NotFound
from domain.events import RecordedEvent
from domain.governance.events import SloAlertClosed, SloAlertOpened
from domain.governance.objectives import Indicator, Severity
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class SloAlertRow:
    """An alert; it is open while `closed_at` is None. The figures are those at its opening and its end."""

    TABLE: ClassVar[str] = "slo_alerts"
    KEY: ClassVar[tuple[str, ...]] = ("alert_id",)

    alert_id: str
    indicator: Indicator
    rule: str
    severity: Severity
    threshold: float
    opened_value: float
    opened_at: datetime
    closed_value: float | None
    closed_at: datetime | None


class GovernanceProjection:
    """`domain.projection.Projection` of alerts."""

    name = "governance"
    kinds: tuple[type[Row], ...] = (SloAlertRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, SloAlertClosed):
            yield SloAlertRow, (recorded.event.alert_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case SloAlertOpened() as event:
                rows.put(
                    SloAlertRow(
                        alert_id=event.alert_id,
                        indicator=event.indicator,
                        rule=event.rule,
                        severity=event.severity,
                        threshold=event.threshold,
                        opened_value=event.current,
                        opened_at=event.at,
                        closed_value=None,
                        closed_at=None,
                    )
                )
            case SloAlertClosed() as event:
                row = rows.get(SloAlertRow, event.alert_id)
                if row is None:
                    raise NotFound(f"alert {event.alert_id} was never opened")
                rows.put(replace(row, closed_value=event.current, closed_at=event.at))

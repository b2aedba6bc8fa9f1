"""The read model of alerts on cost."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import ClassVar

from domain.costs.alerts.events import CostAlertCreated, CostAlertDeleted, CostAlertFired
from domain.events import RecordedEvent
from domain.projection import Key, Row, Rows


@dataclass(frozen=True, slots=True)
class CostAlertRow:
    """An alert, and its latest firing, if there was one: in the window that began on `fired_starts`."""

    TABLE: ClassVar[str] = "cost_alerts"
    KEY: ClassVar[tuple[str, ...]] = ("alert_id",)

    alert_id: str
    tenant_id: str
    scope: str
    period: str
    measure: str
    threshold_usd: Decimal | None
    threshold_pct: Decimal | None
    created_by: str
    created_at: datetime
    version: int
    fired_starts: date | None = None
    fired_at: datetime | None = None
    fired_value_usd: Decimal | None = None
    fired_threshold_usd: Decimal | None = None


class CostAlertsProjection:
    """`domain.projection.Projection` of alerts on cost."""

    name = "cost_alerts"
    kinds: tuple[type[Row], ...] = (CostAlertRow,)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        if isinstance(recorded.event, CostAlertFired):
            yield CostAlertRow, (recorded.event.alert_id,)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case CostAlertCreated() as event:
                rows.put(alert_of(event))
            case CostAlertFired() as event:
                row = rows.get(CostAlertRow, event.alert_id)
                if row is None:
                    raise LookupError(f"{event.alert_id} was never created")
                rows.put(
                    replace(
                        row,
                        version=recorded.version,
                        fired_starts=event.starts,
                        fired_at=event.at,
                        fired_value_usd=event.value_usd,
                        fired_threshold_usd=event.threshold_usd,
                    )
                )
            case CostAlertDeleted() as event:
                rows.drop(CostAlertRow, event.alert_id)


def alert_of(event: CostAlertCreated) -> CostAlertRow:
    """Return the row of an alert that was just created."""
    return CostAlertRow(
        alert_id=event.alert_id,
        tenant_id=event.tenant_id,
        scope=event.scope,
        period=event.window,
        measure=event.measure,
        threshold_usd=event.threshold_usd,
        threshold_pct=event.threshold_pct,
        created_by=event.by,
        created_at=event.at,
        version=1,
    )

"""Request and response models of alerts on cost, and of forecasts."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.costs.limit_schemas import ScopeName, refuse_unfit_scope
from api.http.schemas import Body, Listing, Money, Timestamp, View
from domain.costs.alerts.commands import AlertRule
from domain.costs.alerts.events import Measure
from domain.costs.alerts.forecast import INTERVAL, METHOD
from domain.costs.alerts.ports import AlertStanding
from domain.costs.limits.events import Window
from domain.costs.limits.scopes import name_of, scope_of

_Usd = Annotated[
    Decimal | None,
    Field(gt=0, le=1_000_000_000, max_digits=16, decimal_places=6, description="US dollars."),
]
_Percent = Annotated[
    Decimal | None,
    Field(gt=0, le=1_000, max_digits=8, decimal_places=3, description="Percent of the limit of this scope and window."),
]


class NewAlert(Body):
    """An alert: with `threshold_usd`, or with `threshold_pct` of the limit that this scope and window have."""

    scope: ScopeName
    window: Window = "month"
    measure: Annotated[Measure, Field(description="`spent`, or the `forecast` of the whole window.")] = "spent"
    threshold_usd: _Usd = None
    threshold_pct: _Percent = None
    webhook_url: Annotated[
        None, Field(description="Must be null: this deployment sends no notifications of alerts.")
    ] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse_unfit_scope(self.scope, self.window)
        if (self.threshold_usd is None) == (self.threshold_pct is None):
            raise ValueError("an alert has either `threshold_usd` or `threshold_pct`")
        if self.measure == "forecast" and self.window == "run":
            raise ValueError("there is no forecast for the window `run`")
        return self

    def to_rule(self, tenant_id: str) -> AlertRule:
        scope = scope_of(self.scope, tenant_id)
        return AlertRule(scope, self.window, self.measure, self.threshold_usd, self.threshold_pct)


class CostForecast(View):
    """The cost of a whole window in US dollars: expected, and the bounds that 80 % of such windows are within.

    `mean_of_daily_costs`: what was spent, what today lacks of the mean of the `days` before (28 at most, 7 at least),
    and this mean for each day that is left. `normal_80_percent`: 1.2816 standard deviations of the sum of the days
    that are left, taken to be independent and normally distributed; not below what was spent.
    """

    expected: Money
    low: Money
    high: Money
    days: int
    method: Literal["mean_of_daily_costs"] = METHOD
    interval: Literal["normal_80_percent"] = INTERVAL


class WindowForecast(View):
    """The forecast of the current window (UTC); null without seven days of data before today."""

    scope: str
    window: Window
    window_start: date
    window_end: date
    spent: Money
    forecast: CostForecast | None


class CostAlert(View):
    """An alert in its current window (UTC).

    `threshold` is in US dollars, null where there is no limit to take `threshold_pct` of. `value` is the measure, null
    while there is no forecast. `state` is `fired` if it has come to the threshold in this window: it fires once in
    each, within a minute. `fired_at`, `fired_value` and `fired_threshold` are those of the latest firing.
    """

    id: str
    scope: str
    window: Window
    measure: Measure
    threshold_usd: Money | None
    threshold_pct: float | None
    webhook_url: None = None
    threshold: Money | None
    value: Money | None
    spent: Money
    forecast: CostForecast | None
    state: Literal["waiting", "fired"]
    fired_at: Timestamp | None
    fired_value: Money | None
    fired_threshold: Money | None
    created_by: str
    created_at: Timestamp
    version: int


class CostAlerts(Listing):
    """Alerts, oldest first."""

    data: list[CostAlert]


def to_alert(found: AlertStanding) -> CostAlert:
    """Return an alert as it is shown."""
    alert = found.alert
    return CostAlert(
        id=alert.alert_id,
        scope=name_of(alert.scope),
        window=found.window,
        measure="forecast" if alert.measure == "forecast" else "spent",
        threshold_usd=alert.threshold_usd,
        threshold_pct=None if alert.threshold_pct is None else float(alert.threshold_pct),
        threshold=found.threshold,
        value=found.value,
        spent=found.spent,
        forecast=None if found.forecast is None else CostForecast.model_validate(found.forecast),
        state="fired" if found.has_fired else "waiting",
        fired_at=alert.fired_at,
        fired_value=alert.fired_value_usd,
        fired_threshold=alert.fired_threshold_usd,
        created_by=alert.created_by,
        created_at=alert.created_at,
        version=alert.version,
    )

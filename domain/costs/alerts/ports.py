"""Ports of alerts on cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol, cast

from domain.costs.alerts.commands import AlertFiring
from domain.costs.alerts.forecast import Forecast, forecast
from domain.costs.alerts.projection import CostAlertRow
from domain.costs.limits.events import Window
from domain.costs.limits.projection import ZERO
from domain.costs.limits.scopes import window_start

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class AlertStanding:
    """An alert with its limit, if there is one, and the daily costs of its scope that it needs, up to `today`."""

    alert: CostAlertRow
    today: date
    limit_usd: Decimal | None = None
    daily: Mapping[date, Decimal] = field(default_factory=dict)
    spent: Decimal = ZERO

    @property
    def window(self) -> Window:
        return cast("Window", self.alert.period)

    @property
    def starts(self) -> date:
        return window_start(self.window, self.today)

    @property
    def threshold(self) -> Decimal | None:
        """The threshold in US dollars; None where it is a percentage and there is no limit."""
        if self.alert.threshold_usd is not None:
            return self.alert.threshold_usd
        if self.limit_usd is None or self.alert.threshold_pct is None:
            return None
        return self.limit_usd * self.alert.threshold_pct / HUNDRED

    @property
    def forecast(self) -> Forecast | None:
        return forecast(self.daily, self.window, self.today)

    @property
    def value(self) -> Decimal | None:
        """The measure in the current window; None while there is no forecast."""
        if self.alert.measure == "spent":
            return self.spent
        found = self.forecast
        return found.expected if found else None

    @property
    def has_fired(self) -> bool:
        """True if it has fired in the current window."""
        return self.alert.fired_starts == self.starts

    def firing(self) -> AlertFiring | None:
        """Return the firing that is due: the measure is at the threshold or above, for the first time."""
        value, threshold = self.value, self.threshold
        if self.has_fired or value is None or threshold is None or value < threshold:
            return None
        return AlertFiring(self.alert.alert_id, self.starts, value, threshold)


@dataclass(frozen=True, slots=True)
class CostAlertPage:
    """A page of alerts; `total` counts all."""

    alerts: list[AlertStanding]
    total: int


class CostAlertReads(Protocol):
    """Alerts on cost, with the costs of their scopes."""

    def page(self, tenant_id: str, today: date, *, skip: int, limit: int) -> CostAlertPage:
        """Return the alerts of a tenant, oldest first."""
        ...

    def find(self, tenant_id: str, alert_id: str, today: date) -> AlertStanding | None: ...

    def read_standing(self, alert: CostAlertRow, today: date) -> AlertStanding:
        """Return an alert with its figures, whether or not the view has it."""
        ...

    def all(self, today: date) -> list[AlertStanding]:
        """Return those of all tenants that have not fired in the window of this day."""
        ...

    def daily(self, scope: str, today: date) -> Mapping[date, Decimal]:
        """Return the costs of a scope on the days that a forecast needs; days without any are absent."""
        ...

"""Events of alerts on cost. Scopes are in the form of `domain/costs/limits/scopes.py`."""

from datetime import date
from decimal import Decimal
from typing import Literal

from domain.costs.limits.events import Window
from domain.events import Event

Measure = Literal["spent", "forecast"]


class CostAlertCreated(Event):
    """An alert was created. Its threshold is an amount, or a percentage of the limit of its scope and window."""

    NAME = "costs.alert_created"
    alert_id: str
    scope: str
    window: Window
    measure: Measure
    threshold_usd: Decimal | None = None
    threshold_pct: Decimal | None = None


class CostAlertFired(Event):
    """The measure has come to the threshold, for the first time in the window that began on the day `starts` (UTC)."""

    NAME = "costs.alert_fired"
    alert_id: str
    starts: date
    value_usd: Decimal
    threshold_usd: Decimal


class CostAlertDeleted(Event):
    """An alert was deleted."""

    NAME = "costs.alert_deleted"
    alert_id: str


EVENTS: tuple[type[Event], ...] = (CostAlertCreated, CostAlertFired, CostAlertDeleted)

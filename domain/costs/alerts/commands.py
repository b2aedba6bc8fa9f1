"""Creates, deletes and fires alerts on cost."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from domain.costs.alerts.events import CostAlertCreated, CostAlertDeleted, CostAlertFired, Measure
from domain.costs.limits.events import Window
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import random_id
from domain.ledger import Change, Ledger, retry_on_conflict
from domain.tenant_ids import run_id


@dataclass(frozen=True, slots=True)
class AlertRule:
    """An alert as it is to be: with one of the thresholds."""

    scope: str
    window: Window
    measure: Measure
    threshold_usd: Decimal | None = None
    threshold_pct: Decimal | None = None


@dataclass(frozen=True, slots=True)
class AlertFiring:
    """A threshold that was reached, in the window that began on this day."""

    alert_id: str
    starts: date
    value_usd: Decimal
    threshold_usd: Decimal


class CostAlertCommands:
    """Commands on alerts, through the ledger. The stream of an alert is `cost-alert:<id>`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(self, rule: AlertRule, cause: Cause) -> CostAlertCreated:
        """Create an alert."""
        created = CostAlertCreated(
            alert_id=run_id("alert", cause.tenant_id),
            scope=rule.scope,
            window=rule.window,
            measure=rule.measure,
            threshold_usd=rule.threshold_usd,
            threshold_pct=rule.threshold_pct,
            **cause.fields(),
        )
        self._ledger.append(Change(_stream(created.alert_id), 0, [created]), key=random_id("change"))
        return created

    def delete(self, alert_id: str, cause: Cause, *, check: Callable[[int], None]) -> None:
        """Delete an alert of the cause's tenant. `check` refuses if its version is not the one the caller knows.

        Raises:
            NotFound: there is none.
        """

        def write() -> None:
            known = self._ledger.read(_stream(alert_id))
            if _is_gone(known) or known[0].tenant_id != cause.tenant_id:
                raise NotFound("there is no such alert")
            check(len(known))
            deleted = CostAlertDeleted(alert_id=alert_id, **cause.fields())
            self._ledger.append(Change(_stream(alert_id), len(known), [deleted]), key=random_id("change"))

        retry_on_conflict(write)

    def fire(self, firing: AlertFiring, cause: Cause) -> bool:
        """Record that a threshold was reached, once for each window. Returns False if it was recorded before."""

        def write() -> bool:
            known = self._ledger.read(_stream(firing.alert_id))
            if _is_gone(known):
                return False
            fired = CostAlertFired(
                alert_id=firing.alert_id,
                starts=firing.starts,
                value_usd=firing.value_usd,
                threshold_usd=firing.threshold_usd,
                by=cause.by,
                because=cause.because,
                at=cause.at,
                tenant_id=known[0].tenant_id,
            )
            key = f"cost-alert:{firing.alert_id}:{firing.starts}"
            return self._ledger.append(Change(_stream(firing.alert_id), len(known), [fired]), key=key) is not None

        return retry_on_conflict(write)


def _stream(alert_id: str) -> str:
    return f"cost-alert:{alert_id}"


def _is_gone(known: list[Event]) -> bool:
    return not known or isinstance(known[-1], CostAlertDeleted)

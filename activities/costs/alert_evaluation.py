"""The evaluation of alerts on cost, each minute."""

from collections.abc import Callable
from datetime import datetime

from temporalio import activity

from domain.costs.alerts.commands import CostAlertCommands
from domain.costs.alerts.ports import CostAlertReads
from domain.costs.limits.scopes import day_of
from domain.events import Cause
from domain.ledger import Ledger
from domain.tenant_ids import DEFAULT


class CostAlertActivities:
    """The activity of the `ReconcileWorkflow` workflow for alerts on cost."""

    def __init__(self, ledger: Ledger, alerts: CostAlertReads, now: Callable[[], datetime]) -> None:
        self._commands = CostAlertCommands(ledger)
        self._alerts = alerts
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.evaluate_cost_alerts]

    @activity.defn(name="evaluate_cost_alerts", no_thread_cancel_exception=True)
    def evaluate_cost_alerts(self) -> int:
        """Fire the alerts whose thresholds are reached, each once in a window. Returns their number."""
        now = self._now()
        cause = Cause("platform", "cost_alerts", now, DEFAULT)
        due = [firing for standing in self._alerts.all(day_of(now)) if (firing := standing.firing()) is not None]
        return sum(self._commands.fire(firing, cause) for firing in due)

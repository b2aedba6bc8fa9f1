"""The evaluation of service level objectives, each minute."""

from collections.abc import Callable
from datetime import datetime

from temporalio import activity

from domain.events import Cause
from domain.governance.alerts import AlertCommands
from domain.governance.objectives import Objectives
from domain.governance.ports import SloMaintenance
from domain.ledger import Ledger
from domain.tenant_ids import DEFAULT


class ObjectiveActivities:
    """The activity of the `ReconcileWorkflow` workflow for objectives."""

    def __init__(
        self, ledger: Ledger, counts: SloMaintenance, objectives: Objectives, now: Callable[[], datetime]
    ) -> None:
        self._alerts = AlertCommands(ledger)
        self._counts = counts
        self._objectives = objectives
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.evaluate_objectives]

    @activity.defn(name="evaluate_objectives", no_thread_cancel_exception=True)
    def evaluate_objectives(self) -> int:
        """Open and close alerts by the figures of all tenants, and compact the counts. Returns the changes."""
        now = self._now()
        self._counts.compact(now)
        cause = Cause("platform", "objectives", now, DEFAULT)
        return self._alerts.evaluate(self._counts.windows(now, None), self._objectives, cause)

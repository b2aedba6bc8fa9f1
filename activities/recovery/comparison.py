"""Compares the ledger with Temporal while the system runs, in both directions, and names what was settled."""

from dataclasses import dataclass

from activities.reconcile.activities import ReconcileActivities
from activities.reconcile.erasures import ErasureReconciler
from activities.reconcile.executions import RunReconciler
from activities.reconcile.runbooks import RunbookReconciler
from activities.reconcile.schedules import ScheduleReconciler
from activities.reconcile.swarms import SwarmReconciler
from domain.recovery.report import ItemKind, Outcome, SettledItem

_LOST = "the run that worked on it was lost"


@dataclass(frozen=True, slots=True)
class StoreComparison:
    """What the workflow `Reconcile` does each minute, at once and by name."""

    calls_and_turns: ReconcileActivities
    swarms: SwarmReconciler
    executions: RunReconciler
    schedules: ScheduleReconciler
    erasures: ErasureReconciler
    runbooks: RunbookReconciler

    async def settle(self) -> list[SettledItem]:
        """Settle what is overdue or lost. A second pass finds nothing."""
        items = [SettledItem("call", name, "unknown", "overdue") for name in self.calls_and_turns.lose_calls()]
        turns = [f"{row.session_id}#{row.turn}" for row in await self.calls_and_turns.lose_turns()]
        items += [SettledItem("turn", name, "failed", _LOST) for name in turns]
        items += [SettledItem("swarm", name, "failed", _LOST) for name in await self.swarms.lose_swarms()]
        items += [SettledItem("execution", name, "failed", _LOST) for name in await self.executions.lose_runs()]
        return [
            *items,
            *_to_items("schedule", await self.schedules.reconcile_schedules(), "settled"),
            *_to_items("erasure", await self.erasures.reconcile_erasures(), "restarted"),
            *_to_items("runbook", await self.runbooks.reconcile_runbooks(), "restarted"),
        ]


def _to_items(kind: ItemKind, count: int, outcome: Outcome) -> list[SettledItem]:
    return [SettledItem(kind, f"{count} {kind}s", outcome)] if count else []

"""Settles a restored system before anything runs on it: what does not go on is recorded as lost, by its name."""

from asyncio import to_thread
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from activities.approvals.activities import ApprovalActivities
from activities.approvals.messages import ApprovalWithdrawal
from activities.chat.activities import ChatActivities
from activities.costs.bookkeeping import CostLedger
from activities.reconcile.activities import lost_turn_failure
from activities.reconcile.executions import RunReconciler
from activities.recovery.temporal_runs import OpenRuns
from activities.schedules.activities import ScheduleActivities
from activities.schedules.messages import FiringFailure, FiringRequest
from activities.schedules.settlement import ScheduleSettlement
from activities.swarm.activities import SwarmActivities
from domain.chat.ports import ChatReads
from domain.graphflow.execution.ports import RunReads
from domain.recovery.policy import FIRING_TYPE, RUNBOOK_TYPE, WORK_TYPES, RecoveryPlan, TemporalRun, plan_recovery
from domain.recovery.ports import OpenCall, OpenFiring, OpenWorkReads
from domain.recovery.report import SettledItem
from domain.recovery.restores import Restore
from domain.schedules.ports import ScheduleReads, ScheduleTimers
from domain.swarm.ports import SwarmReads

RUN_LOST: Literal["RUN_LOST"] = "RUN_LOST"
_EVER = datetime.max.replace(tzinfo=UTC)
_ALL = 2**31 - 1
_BECAUSE = "reconcile"


@dataclass(frozen=True, slots=True)
class RecoveryReads:
    """The views that a settlement reads."""

    open_work: OpenWorkReads
    chats: ChatReads
    swarms: SwarmReads
    runs: RunReads
    schedules: ScheduleReads


@dataclass(frozen=True, slots=True)
class RecoveryCommands:
    """The commands by which a settlement records what is lost. All are idempotent."""

    books: CostLedger
    chat: ChatActivities
    swarms: SwarmActivities
    executions: RunReconciler
    approvals: ApprovalActivities
    firings: ScheduleActivities
    schedules: ScheduleSettlement
    timers: ScheduleTimers


class RecoverySettlement:
    """The settlement after a restoration. A repeat, also of one that was interrupted, changes nothing more."""

    def __init__(
        self, runs: OpenRuns, reads: RecoveryReads, commands: RecoveryCommands, now: Callable[[], datetime]
    ) -> None:
        self._runs = runs
        self._reads = reads
        self._commands = commands
        self._now = now

    async def settle(self, restore: Restore) -> list[SettledItem]:
        """Settle everything that was open at the backup's moment. No worker may run. Returns each thing by its name."""
        reason = f"its run was lost with everything after the backup of {restore.moment:%Y-%m-%d %H:%M:%S} UTC"
        forgotten = await self._forget_timers()
        runs = await self._runs.read()
        plan = await to_thread(self._plan, runs, restore)
        recorded = await to_thread(self._reads.open_work.recorded_ids, [run.workflow_id for run in plan.terminate])
        await self._runs.terminate(plan.terminate, f"{RUN_LOST}: {reason}")
        items = await to_thread(self._record, plan, reason)
        items += [SettledItem(each.kind, each.id, "waits", "it waits for people") for each in plan.waiting]
        items += _terminated_items(plan, runs, recorded)
        items += [await self._refuse(firing, reason) for firing in await to_thread(self._reads.open_work.firings)]
        return [*items, *await self._settle_schedules(forgotten)]

    async def _forget_timers(self) -> list[str]:
        """Remove all timers of schedules, and return their ids. A restored one would catch up on missed times."""
        known = list(await self._commands.timers.states())
        for schedule_id in known:
            await self._commands.timers.remove(schedule_id)
        return known

    async def _settle_schedules(self, forgotten: Iterable[str]) -> list[SettledItem]:
        """Make the timers of all schedules of the ledger anew. Temporal's list may still show removed ones."""
        for schedule_id in forgotten:
            await self._commands.schedules.settle(schedule_id)
        await self._commands.schedules.settle_all(self._reads.schedules)
        return [SettledItem("schedule", schedule_id, "settled", "made anew") for schedule_id in forgotten]

    def _plan(self, runs: Sequence[TemporalRun], restore: Restore) -> RecoveryPlan:
        reads = self._reads.open_work
        approvals = reads.approvals([run.workflow_id for run in runs])
        return plan_recovery(runs, reads.work(), approvals, same_moment=restore.with_temporal)

    def _record(self, plan: RecoveryPlan, reason: str) -> list[SettledItem]:
        """Record the ends: of calls first, since the others are shown with their costs."""
        calls = [self._lose_call(call) for call in self._reads.open_work.calls()]
        failed = {(each.kind, each.id) for each in plan.fail}
        self._fail_turns({name for kind, name in failed if kind == "turn"}, reason)
        for kind, name in sorted(failed):
            if kind == "swarm" and (seen := self._reads.swarms.swarm(name)) is not None:
                self._commands.swarms.lose(seen, code=RUN_LOST, reason=reason)
            if kind == "execution" and (view := self._reads.runs.run(name)) is not None:
                self._commands.executions.lose(view.row, code=RUN_LOST, reason=reason)
        for approval in plan.withdraw:
            self._commands.approvals.withdraw(ApprovalWithdrawal(approval.id, "", reason, self._now()))
        return [
            *calls,
            *(SettledItem(each.kind, each.id, "failed", reason) for each in plan.fail),
            *(SettledItem("approval", each.id, "withdrawn", reason) for each in plan.withdraw),
        ]

    def _lose_call(self, call: OpenCall) -> SettledItem:
        self._commands.books.lose_overdue(call.call_id, call.attempt, because=_BECAUSE)
        return SettledItem("call", f"{call.call_id}.{call.attempt}", "unknown", "the provider may charge for it")

    def _fail_turns(self, names: set[str], reason: str) -> None:
        for row in self._reads.chats.overdue_turns(_EVER, _ALL):
            if f"{row.session_id}#{row.turn}" in names:
                self._commands.chat.fail_turn(lost_turn_failure(row, code=RUN_LOST, reason=reason))

    async def _refuse(self, firing: OpenFiring, reason: str) -> SettledItem:
        request = FiringRequest(
            firing.schedule_id, firing.firing_id, firing.scheduled_at.isoformat(), trigger=firing.trigger
        )
        await self._commands.firings.fail_firing(FiringFailure(request, RUN_LOST, reason))
        return SettledItem("firing", firing.firing_id, "refused", reason)


def _terminated_items(plan: RecoveryPlan, runs: Iterable[TemporalRun], recorded: set[str]) -> list[SettledItem]:
    """Name the terminated workflows that no failed work stands for."""
    roots = {run.workflow_id: run.root_id for run in runs}
    named = {roots.get(each.home, each.home) for each in plan.fail}
    found = [
        run
        for run in plan.terminate
        if run.type == FIRING_TYPE
        or (run.type in WORK_TYPES and run.workflow_id == run.root_id and run.root_id not in named)
    ]
    return [SettledItem("run", run.workflow_id, "terminated", _reason_of(run, recorded)) for run in found]


def _reason_of(run: TemporalRun, recorded: set[str]) -> str:
    if run.type == FIRING_TYPE:
        return "the firing had not begun its work"
    if run.type == RUNBOOK_TYPE:
        return "its steps start again within a minute"
    if run.workflow_id not in recorded:
        return "the ledger does not know it"
    return "by the ledger nothing of it was open"

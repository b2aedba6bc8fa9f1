"""A run that waits for one decision, and does nothing else."""

import asyncio
from dataclasses import dataclass
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision, ApprovalRequest
    from workflows.approvals.waiting import ApprovalWaits


@dataclass(frozen=True)
class Heard:
    """What a waiter came to know, and how often it was told."""

    decided: ApprovalDecision
    told: int


@workflow.defn(name="Waiter")
class Waiter:
    """A run that waits for one decision."""

    def __init__(self) -> None:
        self._holds = ApprovalWaits()
        self._told = 0
        self._deaf = False

    @workflow.run
    async def run(self, ask: ApprovalRequest, deaf: bool = False) -> Heard:  # noqa: FBT001, FBT002  (a workflow's argument)
        """Ask and wait; withdraw when cancelled. A deaf one does not hear the signal."""
        self._deaf = deaf
        try:
            decided = await self._holds.await_decision(ask)
        except asyncio.CancelledError:
            await self._holds.withdraw("the run was cancelled")
            raise
        return Heard(decided, self._told)

    @workflow.signal
    def approval_decided(self, *arguments: Any) -> None:
        """What an approval's run says."""
        self._told += 1
        if not self._deaf:
            self._holds.on_decision_signal(*arguments)

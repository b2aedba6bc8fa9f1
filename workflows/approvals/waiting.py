"""Waiting for people: what any run does to have something decided."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.activities import ApprovalActivities
    from activities.approvals.messages import ApprovalAsk, Asked, Decided
    from workflows.approvals.messages import Withdraw
    from workflows.approvals.notices import short
    from workflows.shielded import finished
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT

T = TypeVar("T")

_LOOK_AFTER = timedelta(hours=1)
_LONGEST_LOOK = timedelta(hours=6)
_GRACE = timedelta(minutes=1)
"""How long after its expected end a decision may take to arrive."""


@dataclass
class Holds:
    """The decisions that one run waits for. Its workflow hands the signal `approval_decided` to `decided`."""

    waiting: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    known: dict[str, Decided] = field(default_factory=dict)

    def decided(self, *arguments: Any) -> None:
        """Somebody says that an approval is decided: the ledger is asked, for anybody can send a signal."""
        for said in arguments:
            approval_id = said.get("approval_id") if isinstance(said, dict) else getattr(said, "approval_id", None)
            if isinstance(approval_id, str) and approval_id in self.waiting:
                self.heard.add(approval_id)

    async def ask(self, ask: ApprovalAsk, on_wait: Callable[[str], Awaitable[None]] | None = None) -> Decided:
        """Ask for a decision and wait for it, however long that takes: the approval's own rules bound it.

        `on_wait` is run with the approval's id once it can be decided, if it is not yet.
        Asked again, as a new run does, it is the same approval. Cancelled, it leaves the approval open: `withdraw` it.

        Raises:
            ActivityError: it cannot be asked, as when there is no such risk.
        """
        self.waiting.add(ask.approval_id)
        looks, asked = 0, await finished(self._request(ask))
        if on_wait is not None and ask.approval_id not in self.known:
            await on_wait(ask.approval_id)
        while ask.approval_id not in self.known:
            looks += 1
            pause = min(_LOOK_AFTER * looks, _LONGEST_LOOK)
            ends_in = asked.ends_at + _GRACE - workflow.now()
            has_heard = await self._hears(ask.approval_id, max(min(pause, ends_in), _GRACE))
            asked = await self._look(ask, asked, has_heard=has_heard)
        self.waiting.discard(ask.approval_id)
        return self.known[ask.approval_id]

    async def withdraw(self, reason: str) -> None:
        """Nobody waits any more: take back what is still open. Works while the run is being cancelled, too."""
        open_ones = sorted(self.waiting - set(self.known))
        self.waiting.clear()
        await asyncio.gather(*(_take_back(approval_id, Withdraw(reason)) for approval_id in open_ones))

    async def _request(self, ask: ApprovalAsk) -> Asked:
        """Ask, or find how it stands. What has lost its run gets a new one."""
        asked = await workflow.execute_activity_method(
            ApprovalActivities.request_approval,
            ask,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary=short(f"ask: {ask.title}"),
        )
        if asked.decided is not None:
            self.known[ask.approval_id] = asked.decided
        return asked

    async def _hears(self, approval_id: str, within: timedelta) -> bool:
        try:
            await workflow.wait_condition(
                lambda: approval_id in self.heard, timeout=within, timeout_summary="look whether it is decided"
            )
        except TimeoutError:
            return False
        self.heard.discard(approval_id)
        return True

    async def _look(self, ask: ApprovalAsk, asked: Asked, *, has_heard: bool) -> Asked:
        """Look in the ledger. Past its end, make sure that there still is somebody to decide it."""
        if not has_heard and workflow.now() >= asked.ends_at:
            return await self._request(ask)
        decided = await workflow.execute_activity_method(
            ApprovalActivities.read_decision,
            ask.approval_id,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="is it decided?",
        )
        if decided is not None:
            self.known[ask.approval_id] = decided
        return asked


async def _take_back(approval_id: str, withdraw: Withdraw) -> None:
    try:
        await workflow.get_external_workflow_handle(approval_id).signal("withdraw", withdraw)
    except FailureError as error:
        workflow.logger.info("approval %s is over: %s", approval_id, error)


async def recorded(record: Callable[[Any, T], None], fact: T, summary: str) -> None:
    """Have an activity record a fact of a turn that waits, or waits no more."""
    await workflow.execute_activity_method(
        record, fact, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY, summary=summary
    )

"""Reconciles the ledger with Temporal after crashes: overdue reservations, turns whose workflow is lost."""

from asyncio import to_thread
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.chat.activities import ChatActivities
from activities.chat.messages import TurnFailure
from activities.costs.bookkeeping import CostLedger
from activities.turn_ref import TurnRef
from domain.chat.events import FailureCode
from domain.chat.ports import ChatReads
from domain.chat.views import TurnRow
from domain.costs.policy import OVERDUE
from domain.costs.ports import CostReads
from domain.ids import root_of

LOST_AFTER = timedelta(minutes=2)
"""The age from which a running turn is looked up in Temporal."""
_SKEW = timedelta(seconds=5)
"""Tolerated difference between the clocks of Temporal and of the workers."""
MOST = 500
"""Limit on the calls and turns of one reconciliation; the next one continues."""


@dataclass(frozen=True)
class ReconcileResult:
    """The number of calls recorded as unknown, and of turns, swarms and executions as failed.

    `schedules` were settled, `erasures` and `runbooks` started again, `alerts` opened or closed, and rollups of
    `telemetry` merged. `documents` were to be indexed.
    """

    calls: int = 0
    turns: int = 0
    swarms: int = 0
    executions: int = 0
    schedules: int = 0
    erasures: int = 0
    runbooks: int = 0
    alerts: int = 0
    telemetry: int = 0
    documents: int = 0


class ReconcileActivities:
    """The activities of the `ReconcileWorkflow` workflow for model calls and turns, run every minute."""

    def __init__(
        self,
        books: CostLedger,
        chat: ChatActivities,
        *,
        costs: CostReads,
        chats: ChatReads,
        client: Client,
        now: Callable[[], datetime],
    ) -> None:
        self._books = books
        self._chat = chat
        self._costs = costs
        self._chats = chats
        self._client = client
        self._now = now

    def all(self) -> list[Callable[..., object]]:
        return [self.reconcile_calls, self.reconcile_turns]

    @activity.defn(name="reconcile_calls", no_thread_cancel_exception=True)
    def reconcile_calls(self) -> ReconcileResult:
        """Record reservations past their deadline as unknown."""
        return ReconcileResult(calls=len(self.lose_calls()))

    def lose_calls(self) -> list[str]:
        """Do so, and return their request ids."""
        overdue = self._costs.overdue_calls(self._now() - OVERDUE, MOST)
        return [
            f"{row.call_id}.{row.attempt}"
            for row in overdue
            if self._books.lose_overdue(row.call_id, row.attempt, because="reconcile")
        ]

    @activity.defn(name="reconcile_turns")
    async def reconcile_turns(self) -> ReconcileResult:
        """Fail turns that run or wait for an approval by the ledger, and have no workflow in Temporal."""
        return ReconcileResult(turns=len(await self.lose_turns()))

    async def lose_turns(self) -> list[TurnRow]:
        """Do so, and return them."""
        rows = await to_thread(self._chats.overdue_turns, self._now() - LOST_AFTER, MOST)
        began: dict[str, datetime | None] = {}
        for workflow_id in {run for row in rows for run in _runs_of(row)}:
            began[workflow_id] = await self._start_time(workflow_id)
        lost = [row for row in rows if not _is_worked_on(row, began)]
        for row in lost:
            # idempotent: a turn that ended meanwhile is not failed
            await to_thread(self._chat.fail_turn, lost_turn_failure(row))
        return lost

    async def _start_time(self, workflow_id: str) -> datetime | None:
        """Return the start time of the workflow's open execution; None if none is open."""
        try:
            found = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return found.start_time if found.status is WorkflowExecutionStatus.RUNNING else None


def _runs_of(row: TurnRow) -> list[str]:
    """Return the workflows that may work on a turn: the chat's, and for a nested session its root run's too."""
    owner = root_of(row.session_id)
    return [f"chat-{owner}"] if owner == row.session_id else [f"chat-{owner}", owner]


def _is_worked_on(row: TurnRow, began: Mapping[str, datetime | None]) -> bool:
    """Return True if the turn's workflow still runs. A later chat workflow does not know the turn."""
    chat, *named = (began[workflow_id] for workflow_id in _runs_of(row))
    return any(named) or (chat is not None and chat <= row.at + _SKEW)


def lost_turn_failure(
    row: TurnRow, *, code: FailureCode = "INTERNAL_ERROR", reason: str = "the run that worked on it was lost"
) -> TurnFailure:
    """Return the failure of a turn that nothing works on any more."""
    ref = TurnRef(
        session_id=row.session_id,
        turn=row.turn,
        message_id=row.message_id,
        message_hash=row.message_hash,
        agent_id=row.agent_id,
        agent_version=row.agent_version,
        key_id="platform",
        because="reconcile",
    )
    return TurnFailure(ref, code, reason)

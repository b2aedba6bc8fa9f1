"""The work of nodes by their type: each returns the end of an attempt."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalAsk, Decided
    from activities.chat.messages import Answer, Thought
    from activities.graphflow.agent_node import Answering
    from activities.graphflow.messages import Begun, Ended, Ending, Held, Spot
    from activities.graphflow.node_activities import NodeActivities
    from activities.tools.activities import ToolClosing, ToolRun
    from domain.chat.events import FailureCode
    from workflows.approvals.waiting import Holds
    from workflows.graphflow.child_workflows import run, swarm, undone
    from workflows.graphflow.task_helpers import is_cancellation, why
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.failures import why as turn_failed
    from workflows.turn.tool_activity import call_tool, close_tool
    from workflows.turn.turn import Turns
    from workflows.turn.types import approval_id, said_no


@dataclass
class People:
    """The approvals that the attempts of an execution wait for, one set per attempt.

    `resting` are nodes that only wait, so the next run of the workflow can take over their wait.
    """

    waiting: list[Holds] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)

    def decided(self, decision: Decided) -> None:
        for holds in self.waiting:
            holds.decided(decision)


@dataclass(frozen=True)
class Work:
    """Executes the work of nodes and items. `on_hold` is called when a node begins to wait for an approval."""

    turns: Turns
    people: People
    on_hold: Callable[[Spot, str], None] = lambda _spot, _approval: None

    async def begun(self, spot: Spot) -> Begun:
        """Begin a node and return the inputs of its work.

        Raises:
            ActivityError: the node cannot be executed.
        """
        return await workflow.execute_local_activity_method(
            NodeActivities.begin_node, spot, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )

    async def done(self, spot: Spot, begun: Begun) -> Ending:
        """Execute a node's work.

        Raises:
            asyncio.CancelledError, ActivityError, ChildWorkflowError: it was cancelled; open approvals are withdrawn.
        """
        async with self._holding() as holds:
            return await self._done(spot, begun, holds)

    async def answered(self, spot: Spot) -> Ended | Ending:
        """Begin and execute an agent's node; if the first answer completed it, its end is recorded already.

        Raises:
            asyncio.CancelledError, ActivityError: it was cancelled; its turn is recorded as failed.
        """
        try:
            first = await self.turns.call(Answering.answer_node, spot, spot.asked.key_id, _summary(spot))
        except asyncio.CancelledError:
            await self._unanswered(spot, "CANCELLED", "its node was stopped")
            raise
        except ActivityError as error:
            if is_cancellation(error):
                await self._unanswered(spot, "CANCELLED", "its node was stopped")
                raise
            return await self._unanswered(spot, *turn_failed(error))
        if first.ended is not None:
            return first.ended
        if first.begun is None:
            raise ValueError("an answer that does not end the node needs the node's inputs")
        async with self._holding() as holds:
            return await self._agent(spot, first.begun, holds, first.answer)

    async def _unanswered(self, spot: Spot, code: FailureCode, message: str) -> Ending:
        """Record that the turn failed. A node that cannot begin has no turn, and fails for its own reason."""
        try:
            begun = await self.begun(spot)
        except ActivityError as error:
            if is_cancellation(error):
                raise
            return Ending(spot, "failed", code=why(error)[0], error=why(error)[1])
        if begun.turn is not None:
            await self.turns.give_up(begun.turn, spot.attempt, code, message)
        return Ending(spot, "failed", code=code, error=message)

    @asynccontextmanager
    async def _holding(self) -> AsyncIterator[Holds]:
        """Provide the approvals of one attempt; they are withdrawn if it is cancelled."""
        holds = Holds()
        self.people.waiting.append(holds)
        try:
            yield holds
        except BaseException as error:
            if is_cancellation(error):
                await holds.withdraw("its node was stopped")
            raise
        finally:
            self.people.waiting.remove(holds)

    async def _done(self, spot: Spot, begun: Begun, holds: Holds) -> Ending:
        if begun.turn is not None and begun.tool is None:
            return await self._agent(spot, begun, holds)
        if begun.tool is not None:
            return await self._tool(spot, begun, begun.tool, holds)
        if begun.approval is not None:
            return await self._approval(spot, begun.approval, holds)
        if begun.undo is not None:
            return await undone(spot, begun.undo, self.turns)
        if begun.swarm is not None:
            return await swarm(spot, begun.swarm, self.turns)
        return await run(spot, begun, self.turns)

    async def _agent(self, spot: Spot, begun: Begun, holds: Holds, first: Answer | None = None) -> Ending:
        turn = begun.turn
        if turn is None:
            raise ValueError("an agent's node needs a turn")
        notes: list[asyncio.Task[None]] = []

        def hears(approval: str) -> None:
            notes.append(asyncio.create_task(held(spot, approval)))
            self.on_hold(spot, approval)

        turns = replace(self.turns, holds=holds, on_hold=hears)
        thought = Thought(turn, visit=spot.attempt, first=turn.turn, shape=begun.shape, tools=begun.tools)
        try:
            taken = await turns.take(thought, hold=begun.hold, first=first)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancellation(error):
                await turns.give_up(turn, spot.attempt, "CANCELLED", "its node was stopped")
            raise
        finally:
            if notes:
                await workflow.wait(notes)
        if taken.status == "completed":
            return Ending(spot, "completed", "answer", taken.reply_hash)
        return Ending(spot, taken.status, code=taken.code, error=taken.error)

    async def _tool(self, spot: Spot, begun: Begun, run: ToolRun, holds: Holds) -> Ending:
        if begun.risk is not None:
            decided = await self._let_go(spot, begun, run, holds)
            if decided.outcome != "approved":
                closing = ToolClosing(run, "refused", f"This call was not made: {said_no(decided)}.")
                await close_tool(closing)
                return Ending(spot, "rejected", code="REJECTED", error=said_no(decided))
            run = replace(run, arguments_hash=decided.content_hash or run.arguments_hash)
        done = await call_tool(run, timeout_s=begun.timeout_s)
        if done.outcome == "ok":
            return Ending(spot, "completed", "result", done.result_hash)
        code = "TOOL_IN_DOUBT" if done.outcome == "unknown" else "TOOL_FAILED"
        return Ending(spot, "failed", code=code, error=f"{run.name}: {done.outcome}")

    async def _let_go(self, spot: Spot, begun: Begun, run: ToolRun, holds: Holds) -> Decided:
        turn, text = run.turn, run.arguments_hash or run.reply_hash
        ask = ApprovalAsk(
            approval_id=approval_id("tool", run.tool_call_id),
            kind="tool_call",
            risk=begun.risk or "medium",
            title=f"{run.name}, for node {spot.node}",
            agent_id=turn.agent_id,
            owner=spot.asked.execution_id,
            content_hash=text,
            payload_hash=text,
            workflow_id=workflow.info().workflow_id,
            root_id=spot.asked.root,
            key_id=turn.key_id,
            because=turn.because,
            project_id=spot.asked.project_id,
            schema_hash=begun.schema_hash,
        )
        return await self._asked(spot, ask, holds)

    async def _approval(self, spot: Spot, ask: ApprovalAsk, holds: Holds) -> Ending:
        decided = await self._asked(spot, ask, holds)
        return Ending(spot, "completed", "decision", ask.content_hash, decided=decided)

    async def _asked(self, spot: Spot, ask: ApprovalAsk, holds: Holds) -> Decided:
        async def waits(approval: str) -> None:
            await held(spot, approval)
            self.on_hold(spot, approval)
            if spot.item is None and not spot.undo:
                self.people.resting.add(spot.node)

        try:
            return await holds.ask(ask, waits)
        finally:
            self.people.resting.discard(spot.node)


def _summary(spot: Spot) -> str:
    """Return the summary of an agent's node for the Web UI."""
    visit = f" · iteration {spot.visit}" if spot.visit > 1 else ""
    return f"{spot.node}{visit}" if spot.item is None else f"{spot.node}{visit} · item {spot.item + 1}"


async def held(spot: Spot, approval: str) -> None:
    """Record that a node waits for an approval."""
    await workflow.execute_local_activity_method(
        NodeActivities.hold_node,
        Held(spot, approval),
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
    )

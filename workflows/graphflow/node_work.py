"""The work of nodes by their type: each returns the end of an attempt."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision, ApprovalRequest
    from activities.chat.messages import StepRequest, StepResult
    from activities.graphflow.agent_node import AgentNodeActivities
    from activities.graphflow.messages import AttemptEnd, AttemptStart, EndNodeRequest, NodeAttempt, NodeHold
    from activities.graphflow.node_activities import NodeActivities
    from activities.tools.messages import CloseToolRequest, ToolRun
    from domain.chat.events import FailureCode
    from domain.tenant_ids import tenant_of
    from workflows.approvals.waiting import ApprovalWaits
    from workflows.graphflow.cancellation import is_cancellation
    from workflows.graphflow.child_workflows import run_subgraph, run_swarm, undo_children
    from workflows.graphflow.failures import describe_failure
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.allowance import askable_breach_of
    from workflows.turn.failures import classify_failure as turn_failed
    from workflows.turn.tool_activity import call_tool, close_tool
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import approval_id, explain_refusal


@dataclass
class NodeWaits:
    """The approvals that the attempts of an execution wait for, one set per attempt.

    `resting` are nodes that only wait, so the next run of the workflow can take over their wait.
    """

    waiting: list[ApprovalWaits] = field(default_factory=list)
    resting: set[str] = field(default_factory=set)

    def on_decision_signal(self, decision: ApprovalDecision) -> None:
        for holds in self.waiting:
            holds.on_decision_signal(decision)


@dataclass(frozen=True)
class NodeExecutor:
    """Executes the work of nodes and items. `on_hold` is called when a node begins to wait for an approval."""

    turns: TurnRunner
    people: NodeWaits
    on_hold: Callable[[NodeAttempt, str], None] = lambda _spot, _approval: None

    async def begin(self, spot: NodeAttempt) -> AttemptStart:
        """Begin a node and return the inputs of its work.

        Raises:
            ActivityError: the node cannot be executed.
        """
        return await workflow.execute_local_activity_method(
            NodeActivities.begin_node, spot, start_to_close_timeout=LEDGER_TIMEOUT, retry_policy=LEDGER_RETRY
        )

    async def execute(self, spot: NodeAttempt, begun: AttemptStart) -> EndNodeRequest:
        """Execute a node's work.

        Raises:
            asyncio.CancelledError, ActivityError, ChildWorkflowError: it was cancelled; open approvals are withdrawn.
        """
        async with self._track_approvals() as holds:
            return await self._execute(spot, begun, holds)

    async def answer(self, spot: NodeAttempt) -> AttemptEnd | EndNodeRequest:
        """Begin and execute an agent's node; if the first answer completed it, its end is recorded already.

        Raises:
            asyncio.CancelledError, ActivityError: it was cancelled; its turn is recorded as failed.
        """
        try:
            first = await self.turns.call(
                AgentNodeActivities.answer_node, spot, tenant_of(spot.asked.root), _summary(spot)
            )
        except asyncio.CancelledError:
            await self._fail_turn(spot, "CANCELLED", "its node was stopped")
            raise
        except ActivityError as error:
            if is_cancellation(error):
                await self._fail_turn(spot, "CANCELLED", "its node was stopped")
                raise
            if askable_breach_of(error) is None:
                return await self._fail_turn(spot, *turn_failed(error))
            begun = await self.begin(spot)  # a person may let it go on, so it runs step by step
            async with self._track_approvals() as holds:
                return await self._run_agent(spot, begun, holds)
        if first.ended is not None:
            return first.ended
        if first.begun is None:
            raise ValueError("an answer that does not end the node needs the node's inputs")
        async with self._track_approvals() as holds:
            return await self._run_agent(spot, first.begun, holds, first.answer)

    async def _fail_turn(self, spot: NodeAttempt, code: FailureCode, message: str) -> EndNodeRequest:
        """Record that the turn failed. A node that cannot begin has no turn, and fails for its own reason."""
        try:
            begun = await self.begin(spot)
        except ActivityError as error:
            if is_cancellation(error):
                raise
            return EndNodeRequest(spot, "failed", code=describe_failure(error)[0], error=describe_failure(error)[1])
        if begun.turn is not None:
            await self.turns.fail_turn(begun.turn, spot.attempt, code, message)
        return EndNodeRequest(spot, "failed", code=code, error=message)

    @asynccontextmanager
    async def _track_approvals(self) -> AsyncIterator[ApprovalWaits]:
        """Provide the approvals of one attempt; they are withdrawn if it is cancelled."""
        holds = ApprovalWaits()
        self.people.waiting.append(holds)
        try:
            yield holds
        except BaseException as error:
            if is_cancellation(error):
                await holds.withdraw("its node was stopped")
            raise
        finally:
            self.people.waiting.remove(holds)

    async def _execute(self, spot: NodeAttempt, begun: AttemptStart, holds: ApprovalWaits) -> EndNodeRequest:
        if begun.turn is not None and begun.tool is None:
            return await self._run_agent(spot, begun, holds)
        if begun.tool is not None:
            return await self._run_tool(spot, begun, begun.tool, holds)
        if begun.approval is not None:
            return await self._run_approval(spot, begun.approval, holds)
        if begun.undo is not None:
            return await undo_children(spot, begun.undo, self.turns)
        if begun.swarm is not None:
            return await run_swarm(spot, begun.swarm, self.turns)
        return await run_subgraph(spot, begun, self.turns)

    async def _run_agent(
        self, spot: NodeAttempt, begun: AttemptStart, holds: ApprovalWaits, first: StepResult | None = None
    ) -> EndNodeRequest:
        turn = begun.turn
        if turn is None:
            raise ValueError("an agent's node needs a turn")
        notes: list[asyncio.Task[None]] = []

        def on_wait(approval: str) -> None:
            notes.append(asyncio.create_task(record_approval_wait(spot, approval)))
            self.on_hold(spot, approval)

        turns = replace(self.turns, holds=holds, on_hold=on_wait)
        thought = StepRequest(turn, visit=spot.attempt, first=turn.turn, shape=begun.shape, tools=begun.tools)
        try:
            taken = await turns.run(thought, hold=begun.hold, first=first)
        except (asyncio.CancelledError, ActivityError) as error:
            if is_cancellation(error):
                await turns.fail_turn(turn, spot.attempt, "CANCELLED", "its node was stopped")
            raise
        finally:
            if notes:
                await workflow.wait(notes)
        if taken.status == "completed":
            return EndNodeRequest(spot, "completed", "answer", taken.reply_hash)
        return EndNodeRequest(spot, taken.status, code=taken.code, error=taken.error)

    async def _run_tool(
        self, spot: NodeAttempt, begun: AttemptStart, run: ToolRun, holds: ApprovalWaits
    ) -> EndNodeRequest:
        if begun.risk is not None:
            decided = await self._approve_call(spot, begun, run, holds)
            if decided.outcome != "approved":
                closing = CloseToolRequest(run, "refused", f"This call was not made: {explain_refusal(decided)}.")
                await close_tool(closing)
                return EndNodeRequest(spot, "rejected", code="REJECTED", error=explain_refusal(decided))
            run = replace(run, arguments_hash=decided.content_hash or run.arguments_hash)
        done = await call_tool(run, timeout_s=begun.timeout_s)
        if done.outcome == "ok":
            return EndNodeRequest(spot, "completed", "result", done.result_hash)
        code = "TOOL_IN_DOUBT" if done.outcome == "unknown" else "TOOL_FAILED"
        return EndNodeRequest(spot, "failed", code=code, error=f"{run.name}: {done.outcome}")

    async def _approve_call(
        self, spot: NodeAttempt, begun: AttemptStart, run: ToolRun, holds: ApprovalWaits
    ) -> ApprovalDecision:
        turn, text = run.turn, run.arguments_hash or run.reply_hash
        ask = ApprovalRequest(
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
        return await self._await_decision(spot, ask, holds)

    async def _run_approval(self, spot: NodeAttempt, ask: ApprovalRequest, holds: ApprovalWaits) -> EndNodeRequest:
        decided = await self._await_decision(spot, ask, holds)
        return EndNodeRequest(spot, "completed", "decision", ask.content_hash, decided=decided)

    async def _await_decision(self, spot: NodeAttempt, ask: ApprovalRequest, holds: ApprovalWaits) -> ApprovalDecision:
        async def on_wait(approval: str) -> None:
            await record_approval_wait(spot, approval)
            self.on_hold(spot, approval)
            if spot.item is None and not spot.undo:
                self.people.resting.add(spot.node)

        try:
            return await holds.await_decision(ask, on_wait)
        finally:
            self.people.resting.discard(spot.node)


def _summary(spot: NodeAttempt) -> str:
    """Return the summary of an agent's node for the Web UI."""
    visit = f" · iteration {spot.visit}" if spot.visit > 1 else ""
    return f"{spot.node}{visit}" if spot.item is None else f"{spot.node}{visit} · item {spot.item + 1}"


async def record_approval_wait(spot: NodeAttempt, approval: str) -> None:
    """Record that a node waits for an approval."""
    await workflow.execute_local_activity_method(
        NodeActivities.hold_node,
        NodeHold(spot, approval),
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
    )

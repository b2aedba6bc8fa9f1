"""The tool calls of a turn: each is executed once, by an activity, another agent's turn, or a person."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.chat.approval_hold import TurnHold, TurnHoldActivities
    from activities.chat.delegation import DelegationActivities
    from activities.chat.messages import RequestedToolCall, StepRequest, StepResult
    from activities.tools.messages import CloseToolRequest, ToolCallResult, ToolRun
    from workflows.approvals.waiting import record_fact
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.tool_activity import call_tool, close_tool
    from workflows.turn.types import approval_id, explain_refusal

if TYPE_CHECKING:
    from workflows.turn.turn import TurnRunner


@dataclass
class ToolCallRunner:
    """The tool calls of one turn: `used` are the names of called tools, in order.

    A call that a person did not approve does not count.
    """

    turns: "TurnRunner"
    thought: StepRequest
    used: list[str] = field(default_factory=list)
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run_all(self, step: int, answer: StepResult) -> list[str]:
        """Execute all calls of one reply concurrently; return result hashes in the order of the calls."""
        return list(await asyncio.gather(*(self._run_call(step, answer, call) for call in answer.tool_calls)))

    async def _run_call(self, step: int, answer: StepResult, call: RequestedToolCall) -> str:
        if call.problem is not None:
            return call.problem
        self.used.append(call.name)
        run = ToolRun(
            turn=self.thought.turn,
            workflow_id=self.turns.root,
            tool_call_id=call.id,
            name=call.name,
            step=step,
            reply_hash=answer.reply_hash,
            index=call.index,
            project_id=self.turns.project_id,
        )
        if call.runs == "delegate":
            return (await self._delegate(run)).result_hash
        if call.runs == "approval":
            return (await self._request_approval(run, call)).result_hash
        return (
            await self._call_if_approved(run, call) if call.risk else await call_tool(run, timeout_s=call.timeout_s)
        ).result_hash

    async def _call_if_approved(self, run: ToolRun, call: RequestedToolCall) -> ToolCallResult:
        """Request approval of the call, then make it with the arguments that the approver may have edited."""
        decided = await self._await_decision(
            run, call, kind="tool_call", title=f"{call.name}, for {self.thought.turn.agent_id}"
        )
        if decided.outcome != "approved":
            return await self._close_call(
                run, "refused", f"This call was not made: {explain_refusal(decided)}.", decided
            )
        return await call_tool(replace(run, arguments_hash=decided.content_hash), timeout_s=call.timeout_s)

    async def _request_approval(self, run: ToolRun, call: RequestedToolCall) -> ToolCallResult:
        """Execute the tool that requests a person's approval."""
        decided = await self._await_decision(
            run, call, kind="request", title=f"Request of {self.thought.turn.agent_id}"
        )
        told = (
            "A person approved it."
            if decided.outcome == "approved"
            else f"It was not approved: {explain_refusal(decided)}."
        )
        return await self._close_call(run, "ok", told, decided)

    async def _await_decision(
        self, run: ToolRun, call: RequestedToolCall, *, kind: str, title: str
    ) -> ApprovalDecision:
        """Request one approval at a time: a turn can wait for one only."""
        holding = TurnHold(self.thought.turn, approval_id("tool", run.tool_call_id))
        async with self.asking:
            decided = await self.turns.request_approval(
                holding,
                kind=kind,
                risk=call.risk or "medium",
                title=title,
                text=call.content or "",
                payload=call.arguments,
                schema=call.schema,
            )
            if kind == "tool_call" and decided.outcome != "approved":
                self.used.remove(call.name)
                holding = replace(holding, refused_tool=call.name)
            await record_fact(TurnHoldActivities.resume_turn, holding, f"resume: {decided.outcome}")
        return decided

    async def _delegate(self, run: ToolRun) -> ToolCallResult:
        """Run another agent's turn with this task as its message; its answer is the result."""
        delegation = await workflow.execute_activity_method(
            DelegationActivities.delegate,
            run,
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary="resolve the delegate",
        )
        turn = delegation.turn
        if turn is None:
            return await self._close_call(run, "error", delegation.problem)
        over = await self.turns.run(StepRequest(turn, depth=self.thought.depth + 1), hold=delegation.hold)
        if over.reply_hash is None:
            return await self._close_call(run, "error", f"{turn.agent_id} gave no answer: {over.error}")
        return await self._close_call(run, "ok", result_hash=over.reply_hash)

    async def _close_call(
        self,
        run: ToolRun,
        outcome: str,
        text: str = "",
        decided: ApprovalDecision | None = None,
        *,
        result_hash: str | None = None,
    ) -> ToolCallResult:
        """Record the end of a call, with the approver's comment and edit for the model."""
        written = [decided.content_hash, decided.comment_hash] if decided else []
        added = [text_hash for text_hash in written if text_hash]
        return await close_tool(CloseToolRequest(run, outcome, text, result_hash, added=added))

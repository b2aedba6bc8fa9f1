"""One turn, as all workflows run it: steps until there is an answer, or a recorded failure."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision, ApprovalRequest
    from activities.chat.activities import ChatActivities
    from activities.chat.approval_hold import TurnHold, TurnHoldActivities, TurnRelease
    from activities.chat.messages import StepRef, StepRequest, StepResult, TurnFailure
    from activities.chat.model_step import ModelStepActivities
    from activities.turn_ref import TurnRef
    from domain.chat.events import FailureCode
    from domain.chat.steps import MOST_CORRECTIONS, MOST_STEPS, UNUSABLE
    from domain.ids import root_of
    from domain.tenant_ids import tenant_of
    from workflows.approvals.waiting import ApprovalWaits, record_fact
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT, MAX_RETRY_PAUSE, SETTLEMENT_TIMEOUT
    from workflows.turn.allowance import AllowanceRequests, breach_of, run_step_with_allowances
    from workflows.turn.failures import classify_failure, is_revoked
    from workflows.turn.model_calls import call_model
    from workflows.turn.tool_calls import ToolCallRunner
    from workflows.turn.types import (
        REVOKED,
        TurnRefused,
        TurnResult,
        approval_id,
        complete_turn,
        explain_refusal,
    )

P = TypeVar("P")
T = TypeVar("T")

TURN_TIMEOUT = timedelta(minutes=15)
"""Time limit of one step of a turn, retries included."""


@dataclass(frozen=True)
class TurnRunner:
    """Runs the turns of one workflow. `call_timeout_s` bounds an attempt, `pause_s` lies between two (seconds).

    `root_id` is the run that users know: this workflow, unless set. `budget_usd` limits the cost of the whole run, as
    exact decimal text. `on_hold` is called with each approval that a turn begins to wait for. `enclosing_runs` are the
    runs that the root is a part of.
    """

    model_queue: str
    call_timeout_s: float
    pause_s: float
    project_id: str | None = None
    root_id: str = ""
    holds: ApprovalWaits = field(default_factory=ApprovalWaits)
    budget_usd: str | None = None
    on_hold: Callable[[str], None] | None = None
    enclosing_runs: tuple[str, ...] = ()
    allowances: AllowanceRequests = field(default_factory=AllowanceRequests)

    async def run(
        self, thought: StepRequest, *, hold: str | None = None, first: StepResult | None = None
    ) -> TurnResult:
        """Run a turn to its end and record a failure. Its `first` step may have been run already.

        Raises:
            ActivityError, asyncio.CancelledError: the workflow, or the task that this is part of, was cancelled.
        """
        try:
            return await self._run_steps(self._complete_request(thought, hold), hold, first)
        except ActivityError as error:
            if is_cancelled_exception(error) or workflow.cancellation_reason() is not None:
                raise
            if is_revoked(error):  # no turn was recorded, so none can be recorded as failed
                return _revoked_result(error)
            code, message = classify_failure(error)
            details = breach.details() if (breach := breach_of(error)) else {}
        except TurnRefused as refused:
            code, message, details = refused.code, refused.message, refused.details
        try:
            await self.fail_turn(thought.turn, thought.visit, code, message)
        except ActivityError as error:
            if not is_revoked(error):
                raise
            return _revoked_result(error)
        return TurnResult("failed", code=code, error=message, details=details)

    async def _run_steps(self, thought: StepRequest, hold: str | None, first: StepResult | None) -> TurnResult:
        steps: list[StepRef] = []
        answers: list[StepResult] = []
        use = ToolCallRunner(self, thought)
        for step in range(1, MOST_STEPS + 1):
            taken_before = first if step == 1 else None
            wanted = replace(thought, step=step, steps=list(steps))
            answer = taken_before or await run_step_with_allowances(self, wanted)
            answers.append(answer)
            if answer.problem is not None:
                steps.append(StepRef(answer.reply_hash, [answer.problem], asks=False))
            elif answer.tool_calls:
                steps.append(StepRef(answer.reply_hash, await use.run_all(step, answer)))
            else:
                over = complete_turn(answers, use.used)
                return over if hold is None else await self._await_answer_approval(thought, over, hold)
            if sum(_is_unusable(answer) for answer in answers) > MOST_CORRECTIONS:
                raise TurnRefused("UNUSABLE_REPLY", f"{UNUSABLE} {MOST_CORRECTIONS + 1} times")
        raise TurnRefused("UPSTREAM_ERROR", f"the model gave no answer in {MOST_STEPS} steps")

    def _complete_request(self, thought: StepRequest, hold: str | None) -> StepRequest:
        """Return the request with what is the run's own: its root, project and budget."""
        return replace(
            thought,
            workflow_id=self.root,
            project_id=self.project_id,
            budget_usd=self.budget_usd,
            is_held=hold is not None,
            enclosing_runs=list(self.enclosing_runs),
        )

    async def call_step(self, thought: StepRequest) -> StepResult:
        """Execute the activity of one step."""
        turn = thought.turn
        return await self.call(
            ModelStepActivities.think, thought, tenant_of(turn.session_id), _describe_step(turn, thought.step)
        )

    async def call(self, method: Callable[[Any, P], Awaitable[T]], asked: P, tenant_id: str, summary: str) -> T:
        """Execute an activity that calls the model, with retries up to the time limit of a step."""
        return await call_model(
            method,
            asked,
            self.model_queue,
            timedelta(seconds=self.call_timeout_s),
            tenant_id=tenant_id,
            schedule_to_close_timeout=max(TURN_TIMEOUT, timedelta(seconds=self.call_timeout_s) + SETTLEMENT_TIMEOUT),
            retry_policy=self.retry_policy(),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )

    async def _await_answer_approval(self, thought: StepRequest, over: TurnResult, risk: str) -> TurnResult:
        """Wait for the approval of the answer."""
        turn = thought.turn
        held = TurnHold(turn, approval_id("answer", turn.message_id, thought.visit))
        decided = await self.request_approval(
            held,
            kind="agent_response",
            risk=risk,
            title=f"Answer of {turn.agent_id}",
            text=over.reply_hash or "",
            schema=over.answer.schema if over.answer else None,
        )
        reply_hash = (decided.content_hash or over.reply_hash) if decided.outcome == "approved" else None
        reason = "" if reply_hash else explain_refusal(decided)
        release = TurnRelease(turn, held.approval_id, reply_hash, reason)
        await record_fact(TurnHoldActivities.release_turn, release, f"turn {turn.turn} is {decided.outcome}")
        over = replace(over, reply_hash=reply_hash, approval_id=held.approval_id)
        return over if reply_hash else replace(over, status="rejected", code="REJECTED", error=reason)

    async def request_approval(
        self,
        held: TurnHold,
        *,
        kind: str,
        risk: str,
        title: str,
        text: str,
        payload: str | None = None,
        schema: str | None = None,
    ) -> ApprovalDecision:
        """Suspend a turn until a person has decided about a text of its root.

        `payload` is one more text, which is JSON; `schema` is the JSON Schema that an edit has to follow. All are
        hashes.
        """
        turn = held.turn
        asked = ApprovalRequest(
            approval_id=held.approval_id,
            kind=kind,
            risk=risk,
            title=title,
            agent_id=turn.agent_id,
            owner=root_of(turn.session_id),
            content_hash=text,
            payload_hash=payload,
            workflow_id=workflow.info().workflow_id,
            root_id=self.root,
            key_id=turn.key_id,
            because=turn.because,
            project_id=self.project_id,
            session_id=turn.session_id,
            turn=turn.turn,
            schema_hash=schema,
        )
        return await self.holds.await_decision(asked, partial(self._record_wait, held))

    async def _record_wait(self, held: TurnHold, approval: str) -> None:
        """Record the wait, then announce the approval: it must not be announced before it can be decided."""
        await record_fact(TurnHoldActivities.hold_turn, held, f"wait for {approval}")
        if self.on_hold is not None:
            self.on_hold(approval)

    @property
    def root(self) -> str:
        """The run that users know."""
        return self.root_id or workflow.info().workflow_id

    async def fail_turn(self, turn: TurnRef, visit: int, code: FailureCode, message: str) -> None:
        """Record that a turn has failed."""
        await workflow.execute_activity_method(
            ChatActivities.fail_turn,
            TurnFailure(turn, code, message, visit),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary=f"turn {turn.turn} has failed",
        )

    def retry_policy(self) -> RetryPolicy:
        """Return the policy by which model calls are retried."""
        return RetryPolicy(
            initial_interval=timedelta(seconds=self.pause_s), backoff_coefficient=2, maximum_interval=MAX_RETRY_PAUSE
        )


def _revoked_result(error: ActivityError) -> TurnResult:
    return TurnResult(REVOKED, code="SERVICE_UNAVAILABLE", error=classify_failure(error)[1])


def _is_unusable(answer: StepResult) -> bool:
    return answer.problem is not None or any(call.problem is not None for call in answer.tool_calls)


def _describe_step(turn: TurnRef, step: int) -> str:
    """Return a step's summary for the Web UI; the agent's name distinguishes the members of a swarm."""
    told = f"turn {turn.turn}" if root_of(turn.session_id) == turn.session_id else f"{turn.agent_id} · turn {turn.turn}"
    return told if step == 1 else f"{told} · step {step}"

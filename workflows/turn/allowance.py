"""A step that a limit on cost does not cover: a person may let the run spend more, and it goes on where it was."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.approvals.messages import ApprovalDecision
    from activities.chat.approval_hold import TurnHold, TurnHoldActivities
    from activities.chat.messages import StepRequest, StepResult
    from activities.costs.allowance import (
        KIND,
        AllowanceActivities,
        AllowanceGrant,
        AllowanceRequest,
        AllowanceTexts,
    )
    from domain.costs.limits.breach import LimitBreach
    from domain.ids import root_of
    from workflows.approvals.waiting import record_fact
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.types import TurnRefused, approval_id, explain_refusal

if TYPE_CHECKING:
    from workflows.turn.turn import TurnRunner

MOST_REQUESTS = 10
"""Requests for an allowance that one step makes at most."""
RISK = "medium"


@dataclass
class AllowanceRequests:
    """The requests of one workflow: one at a time, whichever of its turns reaches a limit."""

    granted: int = 0
    refused: int = 0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


def breach_of(error: ActivityError) -> LimitBreach | None:
    """Return the limit that a model step has reached; None if it failed for another reason."""
    cause = error.cause
    if not isinstance(cause, ApplicationError) or cause.type != "BUDGET_EXCEEDED" or not cause.details:
        return None
    values = cause.details[0]
    return LimitBreach.of(values) if isinstance(values, dict) and "scope" in values else None


def askable_breach_of(error: ActivityError) -> LimitBreach | None:
    """Return the limit that a person may let the run exceed; None if there is none."""
    breach = breach_of(error)
    return breach if breach is not None and breach.is_askable else None


async def run_step_with_allowances(turns: "TurnRunner", thought: StepRequest) -> StepResult:
    """Run a step; where a limit does not cover it, request an allowance and run it again.

    Raises:
        ActivityError: it failed for another reason.
        TurnRefused: the allowance was refused.
    """
    requests, number = turns.allowances, 0
    while True:
        number += 1
        granted, refused = requests.granted, requests.refused
        step = await _try_step(turns, thought)
        if isinstance(step, StepResult):
            return step
        async with requests.asking:
            if requests.refused != refused or number > MOST_REQUESTS:
                raise TurnRefused("BUDGET_EXCEEDED", step.sentence(), step.details())
            if requests.granted == granted:
                await _request(turns, thought, step, number)


async def _try_step(turns: "TurnRunner", thought: StepRequest) -> StepResult | LimitBreach:
    try:
        return await turns.call_step(thought)
    except ActivityError as error:
        if breach := askable_breach_of(error):
            return breach
        raise


async def _request(turns: "TurnRunner", thought: StepRequest, breach: LimitBreach, number: int) -> None:
    turn = thought.turn
    texts = await _describe(AllowanceRequest(root_of(turn.session_id), turn.agent_id, breach.values()))
    held = TurnHold(turn, approval_id(KIND, turn.message_id, thought.visit, thought.step, number))
    decided = await turns.request_approval(
        held,
        kind=KIND,
        risk=RISK,
        title=f"Spend more in {breach.run_id}: {breach.limit_name}",
        text=texts.amount_hash,
        payload=texts.payload_hash,
        schema=texts.schema_hash,
    )
    if decided.outcome != "approved":
        turns.allowances.refused += 1
        message = f"{breach.sentence()}; more was not allowed: {explain_refusal(decided)}"
        raise TurnRefused("BUDGET_EXCEEDED", message, breach.details())
    await _grant(decided, turn.because)
    turns.allowances.granted += 1
    await record_fact(TurnHoldActivities.resume_turn, held, f"resume: {decided.outcome}")


async def _describe(wanted: AllowanceRequest) -> AllowanceTexts:
    return await workflow.execute_activity_method(
        AllowanceActivities.describe_allowance,
        wanted,
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
        summary="a limit is reached",
    )


async def _grant(decided: ApprovalDecision, because: str) -> None:
    await workflow.execute_activity_method(
        AllowanceActivities.grant_allowance,
        AllowanceGrant(decided.approval_id, because),
        start_to_close_timeout=LEDGER_TIMEOUT,
        retry_policy=LEDGER_RETRY,
        summary=f"allowed by `{decided.approval_id}`",
    )

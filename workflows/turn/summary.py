"""The summary of a conversation's older half, made after the answer whose prompt came near the model's window."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import StepResult, Summary, SummaryRequest
    from activities.chat.summary import SummaryActivities
    from activities.turn_ref import TurnRef
    from domain.chat import policy
    from domain.tenant_ids import tenant_of
    from workflows.turn.model_calls import call_model
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import ConversationMemory

SUMMARY_TIMEOUT = timedelta(minutes=2)


async def summarise_if_long(
    turns: TurnRunner, turn: TurnRef, answer: StepResult, remembered: ConversationMemory
) -> ConversationMemory:
    """Summarise the older half of the conversation when its prompts come near the model's window.

    Without a summary the next prompts drop their oldest turns, so a failure does not end the turn.
    """
    used = answer.prompt_tokens + answer.completion_tokens
    upto = policy.summarise_upto(remembered.first, turn.turn, used=used, window=answer.window, room=answer.room)
    if upto is None:
        return remembered
    try:
        summary = await _summarise(turns, turn, remembered, upto)
    except ActivityError as error:
        if workflow.cancellation_reason() is not None:
            raise
        workflow.logger.warning("no summary up to turn %d: %s", upto, error.cause)
        return remembered
    return replace(remembered, first=summary.upto + 1, summary_hash=summary.summary_hash)


async def _summarise(turns: TurnRunner, turn: TurnRef, remembered: ConversationMemory, upto: int) -> Summary:
    wanted = SummaryRequest(
        turn=turn,
        workflow_id=turns.root,
        first=remembered.first,
        upto=upto,
        summary_hash=remembered.summary_hash,
        project_id=turns.project_id,
        lineage=remembered.lineage,
        enclosing_runs=list(turns.enclosing_runs),
    )
    return await call_model(
        SummaryActivities.summarise,
        wanted,
        turns.model_queue,
        timedelta(seconds=turns.call_timeout_s),
        tenant_id=tenant_of(turn.session_id),
        schedule_to_close_timeout=SUMMARY_TIMEOUT,
        retry_policy=turns.retry_policy(),
        summary=f"summary up to turn {upto}",
    )

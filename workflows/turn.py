"""One turn as any workflow runs it: think until there is an answer, or record that there is none."""

from dataclasses import dataclass
from datetime import timedelta
from typing import cast, get_args

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from activities.chat import ChatActivities, GivenUp, TurnRef
    from activities.thinking import Answer, Summary, Thinking, Thought, ToSummarise
    from domain.chat import policy
    from domain.chat.events import FailureCode

LEDGER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=10)
)
LEDGER_TIMEOUT = timedelta(seconds=10)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After this much silence a worker counts as dead, and its call goes to another."""
TURN_TIMEOUT = timedelta(minutes=15)
"""A turn that has no answer by then, retries and all, has failed."""
SUMMARY_TIMEOUT = timedelta(minutes=2)
_BOOKS_TIMEOUT = timedelta(minutes=2)
_LONGEST_PAUSE = timedelta(seconds=30)


@dataclass(frozen=True)
class Remembered:
    """What prompts hold: the turns from `first` on word for word, those before as a summary."""

    first: int = 1
    summary_hash: str | None = None


@dataclass(frozen=True)
class Turns:
    """How the turns of one run are made. `call_timeout_s` bounds an attempt, `pause_s` lies between two (seconds)."""

    model_queue: str
    call_timeout_s: float
    pause_s: float
    project_id: str | None = None

    async def think(self, turn: TurnRef, visit: int, remembered: Remembered) -> Answer:
        """Ask the model until there is an answer.

        Raises:
            ActivityError: there is none; `why` tells the reason.
        """
        thought = Thought(
            turn=turn,
            workflow_id=workflow.info().workflow_id,
            visit=visit,
            first=remembered.first,
            summary_hash=remembered.summary_hash,
            project_id=self.project_id,
        )
        return await workflow.execute_activity_method(
            Thinking.think,
            thought,
            task_queue=self.model_queue,
            start_to_close_timeout=self._attempt_timeout(),
            schedule_to_close_timeout=TURN_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=self._retry(),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=Priority(fairness_key=turn.key_id[:64]),
            summary=f"turn {turn.turn}",
        )

    async def give_up(self, turn: TurnRef, visit: int, code: FailureCode, message: str) -> None:
        """Record that a turn has no answer."""
        await workflow.execute_activity_method(
            ChatActivities.fail_turn,
            GivenUp(turn, code, message, visit),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
            summary=f"turn {turn.turn} has failed",
        )

    async def summarise(self, turn: TurnRef, answer: Answer, remembered: Remembered) -> Remembered:
        """Carry the older half of what prompts hold into the summary, once they come near the window.

        Without it the next prompts drop their oldest turns, so a failure is no reason to stop.
        """
        used = answer.prompt_tokens + answer.completion_tokens
        upto = policy.to_summarise(remembered.first, turn.turn, used=used, window=answer.window, room=answer.room)
        if upto is None:
            return remembered
        try:
            summary = await self._summarised(turn, remembered, upto)
        except ActivityError as error:
            if workflow.cancellation_reason() is not None:
                raise
            workflow.logger.warning("no summary up to turn %d: %s", upto, error.cause)
            return remembered
        return Remembered(summary.upto + 1, summary.summary_hash)

    async def _summarised(self, turn: TurnRef, remembered: Remembered, upto: int) -> Summary:
        wanted = ToSummarise(
            turn=turn,
            workflow_id=workflow.info().workflow_id,
            first=remembered.first,
            upto=upto,
            summary_hash=remembered.summary_hash,
            project_id=self.project_id,
        )
        return await workflow.execute_activity_method(
            Thinking.summarise,
            wanted,
            task_queue=self.model_queue,
            start_to_close_timeout=self._attempt_timeout(),
            schedule_to_close_timeout=SUMMARY_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=self._retry(),
            summary=f"summary up to turn {upto}",
        )

    def _attempt_timeout(self) -> timedelta:
        """One attempt: the call, and time to write the books while the database is away."""
        return timedelta(seconds=self.call_timeout_s) + _BOOKS_TIMEOUT

    def _retry(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=self.pause_s), backoff_coefficient=2, maximum_interval=_LONGEST_PAUSE
        )


def why(error: ActivityError) -> tuple[FailureCode, str]:
    """The code and sentence of a turn whose thinking failed."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return "UPSTREAM_ERROR", "there was no answer in time"
    if isinstance(cause, ApplicationError):
        code = cause.type if cause.type in get_args(FailureCode) else "INTERNAL_ERROR"
        return cast("FailureCode", code), cause.message
    return "INTERNAL_ERROR", "the turn could not be worked on"

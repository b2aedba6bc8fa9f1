"""A chat: one session with one agent, one message at a time, for as long as anybody speaks."""

import asyncio
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast, get_args

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from activities.chat import ChatActivities, Ending, GivenUp, Head, KnownTurn, Opening, TurnRef
    from activities.thinking import Answer, Thinking, Thought, ToSummarise
    from domain.chat import policy
    from domain.chat.events import FailureCode

_LEDGER_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2, maximum_interval=timedelta(seconds=10)
)
MOVED = "Moved"
"""The type of error by which a run says that the next one, which has begun by then, answers the message."""
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""After this much silence a worker counts as dead, and its call goes to another."""
TURN_TIMEOUT = timedelta(minutes=15)
"""A turn that has no answer by then, retries and all, has failed."""
SUMMARY_TIMEOUT = timedelta(minutes=2)
_LEDGER_TIMEOUT = timedelta(seconds=10)
_BOOKS_TIMEOUT = timedelta(minutes=2)


@dataclass(frozen=True)
class Say:
    """A message, by its ids. `again` names the turn whose failed answer is to be tried once more, `visit` how often."""

    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    key_id: str
    because: str
    visit: int = 1
    again: int | None = None


@dataclass(frozen=True)
class ChatStart:
    """What a run is started with: ids only.

    `call_timeout_s` bounds one attempt at a model call, `pause_s` (doubled each time, 30 at most) lies between them;
    both in seconds. After `turns_per_run` turns the run continues as new, and the next one answers what is `queued`.
    """

    session_id: str
    agent_id: str
    key_id: str
    because: str
    user_id: str | None = None
    project_id: str | None = None
    call_timeout_s: float = 120.0
    pause_s: float = 1.0
    turns_per_run: int = policy.TURNS_PER_RUN
    queued: list[Say] = field(default_factory=list)


@dataclass(frozen=True)
class Said:
    """What became of a message at its `visit`-th try. `status` is `completed` or `failed`; `code` and `error` say why.

    `because` is the request that made it so; empty when it was known from before this run.
    """

    turn: int
    status: str
    reply_hash: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: str = "0"
    code: str | None = None
    error: str | None = None
    visit: int = 1
    because: str = ""


@dataclass(frozen=True)
class ChatStatus:
    """What is going on: messages accepted and not yet answered, and the newest turn."""

    pending: int
    turn: int
    ended: bool
    key_id: str


@dataclass
class _Waiting:
    """A message on its way. `moved`: the next run answers it, and is to be asked."""

    say: Say
    turn: TurnRef | None = None
    said: Said | None = None
    moved: bool = False


@workflow.defn(name="AgentChat")
class AgentChat:
    """Handlers queue messages; the main loop answers them one by one."""

    @workflow.init
    def __init__(self, start: ChatStart) -> None:
        self._start = start
        self._head: Head | None = None
        self._queue: deque[_Waiting] = deque()
        self._known: dict[tuple[str, int], _Waiting] = {}
        self._completed: dict[str, Said] = {}
        self._begun: dict[str, KnownTurn] = {}
        self._arriving = 0
        self._ending = 0
        self._turn = 0
        self._turns_of_run = 0
        self._first = 1
        self._summary_hash: str | None = None
        self._ended = False
        self._idle = False
        self._stopped = False
        self._last_at = workflow.now()
        for say in start.queued:
            self._enqueue(say)

    @workflow.run
    async def run(self, start: ChatStart) -> None:
        """Answer what is said until the session ends or nobody speaks."""
        try:
            await self._open(start)
            await self._converse()
        except (asyncio.CancelledError, ActivityError):
            if workflow.cancellation_reason() is None:
                raise
            await self._stop()
            raise asyncio.CancelledError from None
        queued = [waiting.say for waiting in self._queue]
        if queued or not (self._ended or self._idle):
            workflow.continue_as_new(replace(start, queued=queued))

    @workflow.update
    async def say(self, say: Say) -> Said:
        """Say something and wait for what becomes of it. The same message again gets the same answer."""
        self._arriving += 1
        await self._opened()
        self._arriving -= 1
        if said := self._completed.get(say.message_id):
            return said
        waiting = self._known.get((say.message_id, say.visit))
        if waiting is None:
            self._admit(say.key_id, say.agent_id)
            waiting = self._enqueue(say)
        await workflow.wait_condition(lambda: waiting.said is not None or (waiting.moved and not self._ending))
        if waiting.said is None:
            raise ApplicationError("the next run answers it", type=MOVED, non_retryable=True)
        return waiting.said

    @workflow.update
    async def end(self, ending: Ending) -> None:
        """End the session; what was said before is still answered. Ending it again changes nothing."""
        await self._opened()
        self._ending += 1
        try:
            await workflow.execute_activity_method(
                ChatActivities.end_session,
                ending,
                start_to_close_timeout=_LEDGER_TIMEOUT,
                retry_policy=_LEDGER_RETRY,
                summary="end the session",
            )
        finally:
            self._ending -= 1
        self._ended = True
        self._show("ended")

    @workflow.query
    def status(self) -> ChatStatus:
        """What is going on in this run."""
        pending = self._arriving + sum(waiting.said is None for waiting in self._known.values())
        return ChatStatus(pending, self._turn, self._ended, self._head.key_id if self._head else self._start.key_id)

    async def _converse(self) -> None:
        self._watch_idleness(policy.IDLE)
        while not self._may_leave():
            await workflow.wait_condition(lambda: self._has_news() or self._may_leave())
            while self._queue and not self._is_long():
                await self._answer(self._queue.popleft())
                if workflow.cancellation_reason() is not None:  # it came with the answer, which hid it
                    raise asyncio.CancelledError
            for waiting in self._queue:
                waiting.moved = True

    async def _stop(self) -> None:
        """Somebody cancelled this run: give up what has no answer, and tell those who wait."""
        self._stopped = True
        for waiting in [waiting for waiting in self._known.values() if waiting.said is None]:
            turn = waiting.turn or self._begin(waiting)
            waiting.said = await self._give_up(turn, waiting.say.visit, "SERVICE_UNAVAILABLE", "the chat was cancelled")
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _enqueue(self, say: Say) -> _Waiting:
        waiting = self._known[say.message_id, say.visit] = _Waiting(say)
        self._queue.append(waiting)
        return waiting

    def _has_news(self) -> bool:
        return any(not waiting.moved for waiting in self._queue)

    def _may_leave(self) -> bool:
        """Whether nobody waits for anything here: a handler may still queue a message."""
        return self._over() and not self._has_news() and workflow.all_handlers_finished()

    def _over(self) -> bool:
        return self._ended or self._idle or self._is_long()

    def _is_long(self) -> bool:
        info = workflow.info()
        return (
            self._turns_of_run >= self._start.turns_per_run
            or info.get_current_history_length() >= policy.EVENTS_PER_RUN
            or info.is_continue_as_new_suggested()
        )

    async def _open(self, start: ChatStart) -> None:
        """Load where the session stands: the run before this one may have ended long ago."""
        head = await workflow.execute_local_activity_method(
            ChatActivities.open_session,
            Opening(
                session_id=start.session_id,
                agent_id=start.agent_id,
                key_id=start.key_id,
                workflow_id=workflow.info().workflow_id,
                because=start.because,
                user_id=start.user_id,
                project_id=start.project_id,
            ),
            start_to_close_timeout=_LEDGER_TIMEOUT,
            retry_policy=_LEDGER_RETRY,
        )
        self._turn, self._first, self._summary_hash = head.turn, head.first, head.summary_hash
        self._ended = head.ended
        for turn in head.recent:
            self._recall(turn)
        self._head = head
        self._show("ended" if head.ended else "waiting for a message")

    def _recall(self, turn: KnownTurn) -> None:
        """What a run before this one left: answers, failures, and a turn that it was stopped in."""
        if turn.running:
            self._begun[turn.message_id] = turn
            return
        said = Said(
            turn=turn.turn,
            status="completed" if turn.completed else "failed",
            reply_hash=turn.reply_hash,
            model=turn.model,
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
            cost=turn.cost,
            code=turn.code,
            error=turn.error,
            visit=turn.visits,
        )
        if turn.completed:
            self._completed[turn.message_id] = said
        else:
            say = Say(turn.message_id, "", "", 0, "", "", visit=turn.visits)
            self._known[turn.message_id, turn.visits] = _Waiting(say, said=said)

    async def _opened(self) -> None:
        await workflow.wait_condition(lambda: self._head is not None or self._stopped)
        if self._stopped:
            raise ApplicationError("the chat was cancelled", type="SERVICE_UNAVAILABLE", non_retryable=True)

    def _admit(self, key_id: str, agent_id: str) -> None:
        head = self._head
        if head is None or head.key_id != key_id:
            raise ApplicationError("there is no such session", type="NotFound", non_retryable=True)
        if self._ended:
            raise ApplicationError("this session has ended", type="Conflict", non_retryable=True)
        if head.agent_id != agent_id:
            raise ApplicationError(f"this session is with {head.agent_id}", type="Conflict", non_retryable=True)

    async def _answer(self, waiting: _Waiting) -> None:
        """One turn: think until there is an answer, or record that there is none."""
        turn, say = self._begin(waiting), waiting.say
        self._show(f"answering turn {turn.turn}")
        try:
            answer = await self._think(turn, say.visit)
        except ActivityError as error:
            if workflow.cancellation_reason() is not None:
                raise
            waiting.said = await self._give_up(turn, say.visit, *_why(error))
        else:
            waiting.said = self._completed[say.message_id] = _said(turn, say.visit, answer)
            await self._summarise(turn, answer)
        self._last_at = workflow.now()
        self._forget()
        self._show("waiting for a message")

    def _begin(self, waiting: _Waiting) -> TurnRef:
        """The turn of a message: a new one, or the one that it has had before."""
        say = waiting.say = self._placed(waiting.say)
        self._turn = max(self._turn, say.again or self._turn + 1)
        self._turns_of_run += 1
        waiting.turn = TurnRef(
            session_id=self._start.session_id,
            turn=say.again or self._turn,
            message_id=say.message_id,
            message_hash=say.message_hash,
            agent_id=say.agent_id,
            agent_version=say.agent_version,
            key_id=say.key_id,
            because=say.because,
        )
        return waiting.turn

    def _placed(self, say: Say) -> Say:
        """A message that an earlier run was stopped in keeps its turn."""
        begun = self._begun.pop(say.message_id, None)
        return say if begun is None else replace(say, again=begun.turn, visit=max(say.visit, begun.visits))

    async def _think(self, turn: TurnRef, visit: int) -> Answer:
        thought = Thought(
            turn=turn,
            workflow_id=workflow.info().workflow_id,
            visit=visit,
            first=self._first,
            summary_hash=self._summary_hash,
            project_id=self._start.project_id,
        )
        return await workflow.execute_activity_method(
            Thinking.think,
            thought,
            task_queue=self._model_queue(),
            start_to_close_timeout=self._attempt_timeout(),
            schedule_to_close_timeout=TURN_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=self._model_retry(),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            priority=Priority(fairness_key=turn.key_id[:64]),
            summary=f"turn {turn.turn}",
        )

    async def _give_up(self, turn: TurnRef, visit: int, code: FailureCode, message: str) -> Said:
        await workflow.execute_activity_method(
            ChatActivities.fail_turn,
            GivenUp(turn, code, message, visit),
            start_to_close_timeout=_LEDGER_TIMEOUT,
            retry_policy=_LEDGER_RETRY,
            summary=f"turn {turn.turn} has failed",
        )
        return Said(turn.turn, "failed", code=code, error=message, visit=visit, because=turn.because)

    async def _summarise(self, turn: TurnRef, answer: Answer) -> None:
        """Carry the older half of what prompts hold into the summary, once they come near the window.

        Without it the next prompts drop their oldest turns, so a failure is no reason to stop.
        """
        used = answer.prompt_tokens + answer.completion_tokens
        upto = policy.to_summarise(self._first, turn.turn, used=used, window=answer.window, room=answer.room)
        if upto is None:
            return
        try:
            summary = await workflow.execute_activity_method(
                Thinking.summarise,
                ToSummarise(
                    turn=turn,
                    workflow_id=workflow.info().workflow_id,
                    first=self._first,
                    upto=upto,
                    summary_hash=self._summary_hash,
                    project_id=self._start.project_id,
                ),
                task_queue=self._model_queue(),
                start_to_close_timeout=self._attempt_timeout(),
                schedule_to_close_timeout=SUMMARY_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=self._model_retry(),
                summary=f"summary up to turn {upto}",
            )
        except ActivityError as error:
            if workflow.cancellation_reason() is not None:
                raise
            workflow.logger.warning("no summary up to turn %d: %s", upto, error.cause)
        else:
            self._first, self._summary_hash = summary.upto + 1, summary.summary_hash

    def _model_queue(self) -> str:
        return self._head.model_queue if self._head else ""

    def _attempt_timeout(self) -> timedelta:
        """One attempt: the call, and time to write the books while the database is away."""
        return timedelta(seconds=self._start.call_timeout_s) + _BOOKS_TIMEOUT

    def _model_retry(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=self._start.pause_s),
            backoff_coefficient=2,
            maximum_interval=timedelta(seconds=30),
        )

    def _forget(self) -> None:
        """Keep the newest messages only; older repeats are answered by the ledger's next head."""
        answered = [key for key, waiting in self._known.items() if waiting.said is not None]
        for key in answered[: -policy.REMEMBERED]:
            del self._known[key]
        for message_id in list(self._completed)[: -policy.REMEMBERED]:
            del self._completed[message_id]

    def _watch_idleness(self, after: timedelta) -> None:
        asyncio.get_running_loop().call_later(after.total_seconds(), self._look)

    def _look(self) -> None:
        quiet = workflow.now() - self._last_at
        if quiet < policy.IDLE or self._queue:
            self._watch_idleness(max(policy.IDLE - quiet, timedelta(minutes=1)))
        else:
            self._idle = True

    def _show(self, doing: str) -> None:
        workflow.set_current_details(
            f"**{self._start.agent_id}** · {doing}\n\nsession `{self._start.session_id}` · turn {self._turn}"
        )


def _said(turn: TurnRef, visit: int, answer: Answer) -> Said:
    return Said(
        turn=turn.turn,
        status="completed",
        reply_hash=answer.reply_hash,
        model=answer.model,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cost=answer.cost,
        visit=visit,
        because=turn.because,
    )


def _why(error: ActivityError) -> tuple[FailureCode, str]:
    """The code and sentence of a turn whose thinking failed."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return "UPSTREAM_ERROR", "there was no answer in time"
    if isinstance(cause, ApplicationError):
        code = cause.type if cause.type in get_args(FailureCode) else "INTERNAL_ERROR"
        return cast("FailureCode", code), cause.message
    return "INTERNAL_ERROR", "the turn could not be worked on"

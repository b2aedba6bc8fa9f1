"""A chat: one session with one agent, one message at a time, until it ends or is idle."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.chat.activities import ChatActivities
    from activities.chat.messages import EndSessionRequest, OpenSessionRequest, SessionHead
    from activities.turn_ref import TurnRef
    from domain.chat import policy
    from domain.chat.events import FailureCode
    from workflows.approvals.waiting import ApprovalWaits
    from workflows.chat.message_queue import MessageQueue, QueuedMessage
    from workflows.chat.messages import MOVED, ChatMessage, ChatResult, ChatStart, ChatStatus
    from workflows.chat.turn_result import thought_of, to_chat_result
    from workflows.timeouts import LEDGER_RETRY, LEDGER_TIMEOUT
    from workflows.turn.failures import is_revoked
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import REVOKED, ConversationMemory


_SESSION_ENDED = "this session has ended"
_MAX_ATTEMPTS = 1_000_000


@workflow.defn(name="AgentChat")
class ChatWorkflow:
    """Queues messages in its handlers; the main loop answers them one by one."""

    @workflow.init
    def __init__(self, start: ChatStart) -> None:
        self._start = start
        self._head: SessionHead | None = None
        self._messages = MessageQueue(start.queued)
        self._arriving = 0
        self._ending = 0
        self._turn = 0
        self._turns_of_run = 0
        self._holds = ApprovalWaits()
        self._answering: QueuedMessage | None = None
        self._turns = TurnRunner(
            "", start.call_timeout_s, start.pause_s, start.project_id, holds=self._holds, on_hold=self._on_approval_wait
        )
        self._remembered = ConversationMemory()
        self._ended = False
        self._is_closing = False
        self._idle = False
        self._stopped = False
        self._last_at = workflow.now()

    @workflow.run
    async def run(self, start: ChatStart) -> None:
        """Answer messages until the session ends or is idle; then end, or continue as new."""
        try:
            await self._open(start)
            await self._answer_messages()
        except (asyncio.CancelledError, ActivityError):
            if workflow.cancellation_reason() is None:
                raise
            await self._fail_open_messages()
            raise asyncio.CancelledError from None
        queued = [waiting.say for waiting in self._messages.queue]
        if queued or not (self._ended or self._idle):
            workflow.continue_as_new(replace(start, queued=queued))

    @workflow.update
    async def say(self, say: ChatMessage) -> ChatResult:
        """Queue a message and wait for its result. A repeated message gets the same answer."""
        self._arriving += 1
        await self._wait_until_open()
        self._arriving -= 1
        if said := self._messages.find_answer(say.message_id):
            return said
        waiting = self._messages.find_attempt(say)
        if waiting is None:
            self._admit(say)
            waiting = self._messages.add(say)
        await workflow.wait_condition(lambda: waiting.said is not None or (waiting.moved and not self._ending))
        if waiting.said is None:
            raise ApplicationError("the next run answers it", type=MOVED, non_retryable=True)
        if waiting.said.status == REVOKED:
            raise ApplicationError(waiting.said.error or REVOKED, type="SERVICE_UNAVAILABLE", non_retryable=True)
        return waiting.said

    @workflow.signal
    def deliver(self, say: ChatMessage) -> None:
        """Queue a message without waiting. It is answered once, even if its update arrives too."""
        if not workflow.patched("signals"):  # older workers ignored this signal: replays of their histories must, too
            return
        self._messages.hold_delivered(replace(say, refusal=_SESSION_ENDED) if self._is_closing else say)
        if self._head is not None:
            self._messages.queue_delivered(self._check_delivered)

    @workflow.signal
    async def close(self, ending: EndSessionRequest) -> None:
        """End the session without waiting."""
        if not workflow.patched("signals"):
            return
        self._is_closing = True  # set before the first await: messages that are signalled after this are refused
        try:
            await self._end(ending)
        except FailureError as error:
            self._is_closing = False
            workflow.logger.warning("the session was not ended: %s", error)

    @workflow.update
    async def end(self, ending: EndSessionRequest) -> None:
        """End the session; messages accepted before are still answered. Idempotent."""
        await self._end(ending)

    @workflow.signal
    def approval_decided(self, *arguments: Any) -> None:
        """Report that an approval of a turn was decided."""
        self._holds.on_decision_signal(*arguments)

    @workflow.query
    def status(self) -> ChatStatus:
        """Return the state of this run."""
        pending = self._arriving + self._messages.unanswered_count
        return ChatStatus(pending, self._turn, self._ended, self._head.key_id if self._head else self._start.key_id)

    async def _end(self, ending: EndSessionRequest) -> None:
        await self._wait_until_open()
        self._ending += 1
        try:
            await workflow.execute_activity_method(
                ChatActivities.end_session,
                ending,
                start_to_close_timeout=LEDGER_TIMEOUT,
                retry_policy=LEDGER_RETRY,
                summary="end the session",
            )
        finally:
            self._ending -= 1
        self._ended = True
        self._update_details("ended")

    async def _answer_messages(self) -> None:
        self._watch_idleness(policy.IDLE_TIMEOUT)
        while not self._is_done():
            await workflow.wait_condition(lambda: self._messages.has_pending or self._is_done())
            while self._messages.queue and not self._is_long():
                await self._answer(self._messages.queue.popleft())
                if workflow.cancellation_reason() is not None:  # one that arrives with the answer raises nothing
                    raise asyncio.CancelledError
            self._messages.move_to_next_run()

    async def _fail_open_messages(self) -> None:
        """Fail the open messages after a cancellation, so that their callers get a result."""
        self._stopped = True
        await self._holds.withdraw("the chat was cancelled")
        for waiting in self._messages.list_open():
            turn = waiting.turn or self._begin(waiting)
            waiting.said = await self._fail_turn(
                turn, waiting.say.visit, "SERVICE_UNAVAILABLE", "the chat was cancelled"
            )
        await workflow.wait_condition(workflow.all_handlers_finished)

    def _is_done(self) -> bool:
        """Return whether the run can end: it is over, and neither queue nor handlers hold a message."""
        return self._is_over() and not self._messages.has_pending and workflow.all_handlers_finished()

    def _is_over(self) -> bool:
        return self._ended or self._idle or self._is_long()

    def _is_long(self) -> bool:
        info = workflow.info()
        return (
            self._turns_of_run >= self._start.turns_per_run
            or info.get_current_history_length() >= policy.EVENTS_PER_RUN
            or info.is_continue_as_new_suggested()
        )

    async def _open(self, start: ChatStart) -> None:
        """Load the session's state from the ledger: an earlier run may have ended long ago."""
        head = await workflow.execute_local_activity_method(
            ChatActivities.open_session,
            OpenSessionRequest(
                session_id=start.session_id,
                agent_id=start.agent_id,
                key_id=start.key_id,
                workflow_id=workflow.info().workflow_id,
                because=start.because,
                user_id=start.user_id,
                project_id=start.project_id,
            ),
            start_to_close_timeout=LEDGER_TIMEOUT,
            retry_policy=LEDGER_RETRY,
        )
        project_id = head.project_id or start.project_id
        self._turns = replace(self._turns, model_queue=head.model_queue, project_id=project_id)
        self._turn, self._ended = head.turn, head.ended
        self._remembered = ConversationMemory(head.first, head.summary_hash, head.lineage)
        for turn in head.recent:
            self._messages.restore(turn)
        self._head = head
        self._messages.queue_delivered(self._check_delivered)
        self._update_details("ended" if head.ended else "waiting for a message")

    async def _wait_until_open(self) -> None:
        await workflow.wait_condition(lambda: self._head is not None or self._stopped)
        if self._stopped:
            raise ApplicationError("the chat was cancelled", type="SERVICE_UNAVAILABLE", non_retryable=True)

    def _check_delivered(self, say: ChatMessage) -> ChatMessage | None:
        """A delivered message. What is refused gets a failed turn, or nothing at all where it names no turn."""
        try:
            self._admit(say, is_delivered=True)
        except ApplicationError as refusal:
            return None if refusal.type == "NotFound" else replace(say, refusal=refusal.message)
        return say

    def _admit(self, say: ChatMessage, *, is_delivered: bool = False) -> None:
        head = self._head
        if head is None:
            raise ApplicationError("there is no such session", type="NotFound", non_retryable=True)
        if not self._has_valid_turn(say):  # an unchecked turn number would be used to read the turns before it
            raise ApplicationError("the session has no such turn", type="NotFound", non_retryable=True)
        if self._ended:
            raise ApplicationError(_SESSION_ENDED, type="Conflict", non_retryable=True)
        if self._holds.waiting and not is_delivered:  # delivered ones were accepted already
            raise ApplicationError(
                f"this session waits for {', '.join(sorted(self._holds.waiting))}", type="Conflict", non_retryable=True
            )
        if head.agent_id != say.agent_id:
            raise ApplicationError(f"this session is with {head.agent_id}", type="Conflict", non_retryable=True)

    def _has_valid_turn(self, say: ChatMessage) -> bool:
        """Return whether a retry names a turn that has begun and a valid attempt number."""
        return 1 <= say.visit <= _MAX_ATTEMPTS and (say.again is None or 1 <= say.again <= self._turn)

    async def _answer(self, waiting: QueuedMessage) -> None:
        """Run one turn: steps until there is an answer, or a recorded failure."""
        turn, say = self._begin(waiting), waiting.say
        self._update_details(f"answering turn {turn.turn}")
        if say.refusal is not None:
            waiting.said = await self._fail_turn(turn, say.visit, "CONFLICT", say.refusal)
            if waiting.said.status == REVOKED:
                self._drop(waiting, turn)
            return
        self._answering = waiting
        taken = await self._turns.run(thought_of(turn, say, self._remembered), hold=say.hold)
        self._answering = None
        waiting.said = to_chat_result(turn, say.visit, taken)
        if taken.status == REVOKED:
            self._drop(waiting, turn)
            return
        if taken.status == "completed" and taken.answer is not None:
            self._messages.complete(waiting, waiting.said)
            self._remembered = await self._turns.summarise(turn, taken.answer, self._remembered)
        self._last_at = workflow.now()
        self._messages.trim()
        self._update_details("waiting for a message")

    def _drop(self, waiting: QueuedMessage, turn: TurnRef) -> None:
        """Forget a revoked message. Its turn number goes to the next message."""
        self._messages.drop(waiting)
        if waiting.say.again is None:
            self._turn = turn.turn - 1
        workflow.logger.warning("message %s was revoked before it arrived", turn.message_id)
        self._update_details(f"waiting for a message; `{turn.message_id}` was revoked before it arrived")

    def _on_approval_wait(self, approval_id: str) -> None:
        """Tell the waiting caller that the answer awaits approval."""
        if self._answering is not None:
            self._answering.mark_awaiting_approval(approval_id)
        self._update_details(f"waiting for `{approval_id}`")

    def _begin(self, waiting: QueuedMessage) -> TurnRef:
        """Return the turn of a message: a new one, or that of an earlier attempt."""
        say = waiting.say = self._messages.keep_turn(waiting.say)
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

    async def _fail_turn(self, turn: TurnRef, visit: int, code: FailureCode, message: str) -> ChatResult:
        try:
            await self._turns.fail_turn(turn, visit, code, message)
        except ActivityError as error:
            if not is_revoked(error):
                raise
            return ChatResult(turn.turn, REVOKED, code="SERVICE_UNAVAILABLE", visit=visit, because=turn.because)
        return ChatResult(turn.turn, "failed", code=code, error=message, visit=visit, because=turn.because)

    def _watch_idleness(self, after: timedelta) -> None:
        asyncio.get_running_loop().call_later(after.total_seconds(), self._check_idleness)

    def _check_idleness(self) -> None:
        quiet = workflow.now() - self._last_at
        if quiet < policy.IDLE_TIMEOUT or self._messages.queue:
            self._watch_idleness(max(policy.IDLE_TIMEOUT - quiet, timedelta(minutes=1)))
        else:
            self._idle = True

    def _update_details(self, doing: str) -> None:
        workflow.set_current_details(
            f"**{self._start.agent_id}** · {doing}\n\nsession `{self._start.session_id}` · turn {self._turn}"
        )

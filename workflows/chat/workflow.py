"""A chat: one session with one agent, one message at a time, until it ends or is idle."""

import asyncio
from dataclasses import replace
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import EndSessionRequest, SessionHead
    from activities.turn_ref import TurnRef
    from domain.chat import policy
    from domain.chat.events import FailureCode
    from workflows.approvals.waiting import ApprovalWaits
    from workflows.chat.admission import SESSION_ENDED, admit_message
    from workflows.chat.idle_timer import IdleTimer
    from workflows.chat.message_queue import MessageQueue, QueuedMessage
    from workflows.chat.messages import MOVED, ChatMessage, ChatResult, ChatStart, ChatStatus
    from workflows.chat.session_ledger import load_session_head, record_session_end
    from workflows.chat.turn_result import step_request_of, to_chat_result, to_turn_ref
    from workflows.turn.failures import is_revoked
    from workflows.turn.summary import summarise_if_long
    from workflows.turn.turn import TurnRunner
    from workflows.turn.types import REVOKED, ConversationMemory


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
        self._stopped = False
        self._idle = IdleTimer(lambda: bool(self._messages.queue))

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
        if queued or not (self._ended or self._idle.is_over):
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
        self._messages.hold_delivered(replace(say, refusal=SESSION_ENDED) if self._is_closing else say)
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
            await record_session_end(ending)
        finally:
            self._ending -= 1
        self._ended = True
        self._update_details("ended")

    async def _answer_messages(self) -> None:
        self._idle.start()
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
        is_over = self._ended or self._idle.is_over or self._is_long()
        return is_over and not self._messages.has_pending and workflow.all_handlers_finished()

    def _is_long(self) -> bool:
        info = workflow.info()
        return (
            self._turns_of_run >= self._start.turns_per_run
            or info.get_current_history_length() >= policy.EVENTS_PER_RUN
            or info.is_continue_as_new_suggested()
        )

    async def _open(self, start: ChatStart) -> None:
        head = await load_session_head(start)
        self._turns = replace(self._turns, model_queue=head.model_queue, project_id=head.project_id or start.project_id)
        self._turn, self._ended = head.turn, head.ended
        self._remembered = ConversationMemory(head.first, head.summary_hash, head.lineage)
        self._messages.restore(head.recent)
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
        approvals = [] if is_delivered else self._holds.waiting  # delivered ones were accepted already
        admit_message(say, self._head, turn=self._turn, has_ended=self._ended, approvals=approvals)

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
        taken = await self._turns.run(step_request_of(turn, say, self._remembered), hold=say.hold)
        self._answering = None
        waiting.said = to_chat_result(turn, say.visit, taken)
        if taken.status == REVOKED:
            self._drop(waiting, turn)
            return
        if taken.status == "completed" and taken.answer is not None:
            self._messages.complete(waiting, waiting.said)
            self._remembered = await summarise_if_long(self._turns, turn, taken.answer, self._remembered)
        self._idle.touch()
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
        waiting.turn = to_turn_ref(say, self._start.session_id, say.again or self._turn)
        return waiting.turn

    async def _fail_turn(self, turn: TurnRef, visit: int, code: FailureCode, message: str) -> ChatResult:
        try:
            await self._turns.fail_turn(turn, visit, code, message)
        except ActivityError as error:
            if not is_revoked(error):
                raise
            return ChatResult(turn.turn, REVOKED, code="SERVICE_UNAVAILABLE", visit=visit, because=turn.because)
        return ChatResult(turn.turn, "failed", code=code, error=message, visit=visit, because=turn.because)

    def _update_details(self, doing: str) -> None:
        place = f"session `{self._start.session_id}` · turn {self._turn}"
        workflow.set_current_details(f"**{self._start.agent_id}** · {doing}\n\n{place}")

"""The messages of a chat's workflow: the queue to answer, and recent answers for repeated requests."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chat.messages import KnownTurn
    from activities.turn_ref import TurnRef
    from domain.chat import policy
    from workflows.chat.messages import ChatMessage, ChatResult


@dataclass
class QueuedMessage:
    """A queued message. `moved`: the next run of the workflow answers it."""

    say: ChatMessage
    turn: TurnRef | None = None
    said: ChatResult | None = None
    moved: bool = False

    @property
    def is_open(self) -> bool:
        """True while the turn is not over, which includes an answer that awaits approval."""
        return self.said is None or self.said.status == "awaiting_approval"

    def mark_awaiting_approval(self, approval_id: str) -> None:
        """Give the waiting caller the status `awaiting_approval`."""
        if self.turn is not None:
            visit, because = self.say.visit, self.say.because
            self.said = ChatResult(
                self.turn.turn, "awaiting_approval", approval_id=approval_id, visit=visit, because=because
            )


class MessageQueue:
    """The messages of this run, and the recent turns that the ledger had before it."""

    def __init__(self, queued: Iterable[ChatMessage]) -> None:
        self.queue: deque[QueuedMessage] = deque()
        self._known: dict[tuple[str, int], QueuedMessage] = {}
        self._completed: dict[str, ChatResult] = {}
        self._begun: dict[str, KnownTurn] = {}
        self._handed_over: list[ChatMessage] = []
        for say in queued:
            self.add(say)

    def add(self, say: ChatMessage) -> QueuedMessage:
        """Append a message to the queue."""
        waiting = self._known[say.message_id, say.visit] = QueuedMessage(say)
        self.queue.append(waiting)
        return waiting

    def hold_delivered(self, say: ChatMessage) -> None:
        """Keep a message that was delivered as a signal until the session's state is loaded."""
        self._handed_over.append(say)

    def queue_delivered(self, checked: Callable[[ChatMessage], ChatMessage | None]) -> None:
        """Queue the messages delivered as signals, except those that an update brought or that have an answer."""
        handed_over, self._handed_over = self._handed_over, []
        for say in handed_over:
            if self.find_answer(say.message_id) or self.find_attempt(say):
                continue
            if (allowed := checked(say)) is not None:
                self.add(allowed)

    def drop(self, waiting: QueuedMessage) -> None:
        """Forget a message."""
        self._known.pop((waiting.say.message_id, waiting.say.visit), None)

    def find_answer(self, message_id: str) -> ChatResult | None:
        """Return the message's answer, whichever attempt produced it."""
        return self._completed.get(message_id)

    def find_attempt(self, say: ChatMessage) -> QueuedMessage | None:
        """Return the entry of exactly this attempt at the message."""
        return self._known.get((say.message_id, say.visit))

    @property
    def has_pending(self) -> bool:
        """True while a message is queued that this run has to answer."""
        return any(not waiting.moved for waiting in self.queue)

    @property
    def unanswered_count(self) -> int:
        """Number of messages without a result."""
        return sum(waiting.said is None for waiting in self._known.values())

    def list_open(self) -> list[QueuedMessage]:
        """Return the messages whose turns are not over."""
        return [waiting for waiting in self._known.values() if waiting.is_open]

    def move_to_next_run(self) -> None:
        """Mark the queued messages as moved to the next run."""
        for waiting in self.queue:
            waiting.moved = True

    def keep_turn(self, say: ChatMessage) -> ChatMessage:
        """Let a message keep its turn if an earlier run was stopped in it."""
        begun = self._begun.pop(say.message_id, None)
        return say if begun is None else replace(say, again=begun.turn, visit=max(say.visit, begun.visits))

    def complete(self, waiting: QueuedMessage, said: ChatResult) -> None:
        """Store the message's answer, also for repeated requests."""
        waiting.said = self._completed[waiting.say.message_id] = said

    def restore(self, turns: Iterable[KnownTurn]) -> None:
        """Restore turns of earlier runs: answers, failures, and turns that were interrupted."""
        for turn in turns:
            self._restore(turn)

    def _restore(self, turn: KnownTurn) -> None:
        if turn.running:
            self._begun[turn.message_id] = turn
        elif turn.completed:
            self._completed[turn.message_id] = _restore_result(turn)
        else:
            say = ChatMessage(turn.message_id, "", "", 0, "", "", visit=turn.visits)
            self._known[turn.message_id, turn.visits] = QueuedMessage(say, said=_restore_result(turn))

    def trim(self) -> None:
        """Keep only the newest results; older repeats are answered from the ledger when the next run loads it."""
        answered = [key for key, waiting in self._known.items() if not waiting.is_open]
        for key in answered[: -policy.REMEMBERED_MESSAGES]:
            del self._known[key]
        for message_id in list(self._completed)[: -policy.REMEMBERED_MESSAGES]:
            del self._completed[message_id]


def _restore_result(turn: KnownTurn) -> ChatResult:
    failed = "rejected" if turn.code == "REJECTED" else "failed"
    return ChatResult(
        turn=turn.turn,
        status="completed" if turn.completed else failed,
        reply_hash=turn.reply_hash,
        model=turn.model,
        prompt_tokens=turn.prompt_tokens,
        completion_tokens=turn.completion_tokens,
        cost=turn.cost,
        code=turn.code,
        error=turn.error,
        visit=turn.visits,
        finish=turn.finish,
    )

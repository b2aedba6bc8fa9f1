"""The messages of a chat's workflow: the queue to answer, and recent answers for repeated requests."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.chat.activities import KnownTurn, TurnRef
    from domain.chat import policy
    from workflows.chat.messages import Said, Say


@dataclass
class Waiting:
    """A queued message. `moved`: the next run of the workflow answers it."""

    say: Say
    turn: TurnRef | None = None
    said: Said | None = None
    moved: bool = False

    @property
    def is_open(self) -> bool:
        """True while the turn is not over, which includes an answer that awaits approval."""
        return self.said is None or self.said.status == "awaiting_approval"

    def hold(self, approval_id: str) -> None:
        """Give the waiting caller the status `awaiting_approval`."""
        if self.turn is not None:
            visit, because = self.say.visit, self.say.because
            self.said = Said(self.turn.turn, "awaiting_approval", approval_id=approval_id, visit=visit, because=because)


class Messages:
    """The messages of this run, and the recent turns that the ledger had before it."""

    def __init__(self, queued: Iterable[Say]) -> None:
        self.queue: deque[Waiting] = deque()
        self._known: dict[tuple[str, int], Waiting] = {}
        self._completed: dict[str, Said] = {}
        self._begun: dict[str, KnownTurn] = {}
        self._handed_over: list[Say] = []
        for say in queued:
            self.add(say)

    def add(self, say: Say) -> Waiting:
        """Append a message to the queue."""
        waiting = self._known[say.message_id, say.visit] = Waiting(say)
        self.queue.append(waiting)
        return waiting

    def hand_over(self, say: Say) -> None:
        """Keep a message that was delivered as a signal until the session's state is loaded."""
        self._handed_over.append(say)

    def take_over(self, checked: Callable[[Say], Say | None]) -> None:
        """Queue the messages delivered as signals, except those that an update brought or that have an answer."""
        handed_over, self._handed_over = self._handed_over, []
        for say in handed_over:
            if self.answer(say.message_id) or self.known(say):
                continue
            if (allowed := checked(say)) is not None:
                self.add(allowed)

    def drop(self, waiting: Waiting) -> None:
        """Forget a message."""
        self._known.pop((waiting.say.message_id, waiting.say.visit), None)

    def answer(self, message_id: str) -> Said | None:
        """Return the message's answer, whichever attempt produced it."""
        return self._completed.get(message_id)

    def known(self, say: Say) -> Waiting | None:
        """Return the entry of exactly this attempt at the message."""
        return self._known.get((say.message_id, say.visit))

    @property
    def has_news(self) -> bool:
        """True while a message is queued that this run has to answer."""
        return any(not waiting.moved for waiting in self.queue)

    @property
    def unanswered(self) -> int:
        """Number of messages without a result."""
        return sum(waiting.said is None for waiting in self._known.values())

    def open(self) -> list[Waiting]:
        """Return the messages whose turns are not over."""
        return [waiting for waiting in self._known.values() if waiting.is_open]

    def leave_to_the_next_run(self) -> None:
        """Mark the queued messages as moved to the next run."""
        for waiting in self.queue:
            waiting.moved = True

    def placed(self, say: Say) -> Say:
        """Let a message keep its turn if an earlier run was stopped in it."""
        begun = self._begun.pop(say.message_id, None)
        return say if begun is None else replace(say, again=begun.turn, visit=max(say.visit, begun.visits))

    def complete(self, waiting: Waiting, said: Said) -> None:
        """Store the message's answer, also for repeated requests."""
        waiting.said = self._completed[waiting.say.message_id] = said

    def recall(self, turn: KnownTurn) -> None:
        """Restore a turn of an earlier run: an answer, a failure, or a turn that was interrupted."""
        if turn.running:
            self._begun[turn.message_id] = turn
        elif turn.completed:
            self._completed[turn.message_id] = _recalled(turn)
        else:
            say = Say(turn.message_id, "", "", 0, "", "", visit=turn.visits)
            self._known[turn.message_id, turn.visits] = Waiting(say, said=_recalled(turn))

    def forget(self) -> None:
        """Keep only the newest results; older repeats are answered from the ledger when the next run loads it."""
        answered = [key for key, waiting in self._known.items() if not waiting.is_open]
        for key in answered[: -policy.REMEMBERED]:
            del self._known[key]
        for message_id in list(self._completed)[: -policy.REMEMBERED]:
            del self._completed[message_id]


def _recalled(turn: KnownTurn) -> Said:
    failed = "rejected" if turn.code == "REJECTED" else "failed"
    return Said(
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

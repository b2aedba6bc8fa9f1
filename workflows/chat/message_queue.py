"""The messages of a chat's run: those that wait for an answer, and those whose repeats are known again."""

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
    """A message on its way. `moved`: the next run answers it, and is to be asked."""

    say: Say
    turn: TurnRef | None = None
    said: Said | None = None
    moved: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its turn is not over: a held answer is none yet."""
        return self.said is None or self.said.status == "awaiting_approval"

    def hold(self, approval_id: str) -> None:
        """Tell who waits that a person has to decide first."""
        if self.turn is not None:
            visit, because = self.say.visit, self.say.because
            self.said = Said(self.turn.turn, "awaiting_approval", approval_id=approval_id, visit=visit, because=because)


class Messages:
    """What was said in this run, and what the ledger knew of it before."""

    def __init__(self, queued: Iterable[Say]) -> None:
        self.queue: deque[Waiting] = deque()
        self._known: dict[tuple[str, int], Waiting] = {}
        self._completed: dict[str, Said] = {}
        self._begun: dict[str, KnownTurn] = {}
        self._handed_over: list[Say] = []
        for say in queued:
            self.add(say)

    def add(self, say: Say) -> Waiting:
        """A new message, at the end of the queue."""
        waiting = self._known[say.message_id, say.visit] = Waiting(say)
        self.queue.append(waiting)
        return waiting

    def hand_over(self, say: Say) -> None:
        """Keep a message that came without a caller until it is known where the session stands."""
        self._handed_over.append(say)

    def take_over(self, checked: Callable[[Say], Say | None]) -> None:
        """Queue what was handed over; what has come by its update, or was answered before, is here already."""
        handed_over, self._handed_over = self._handed_over, []
        for say in handed_over:
            if self.answer(say.message_id) or self.known(say):
                continue
            if (allowed := checked(say)) is not None:
                self.add(allowed)

    def drop(self, waiting: Waiting) -> None:
        """Know nothing of a message any more."""
        self._known.pop((waiting.say.message_id, waiting.say.visit), None)

    def answer(self, message_id: str) -> Said | None:
        """The answer that a message has had, whichever try brought it."""
        return self._completed.get(message_id)

    def known(self, say: Say) -> Waiting | None:
        """This very try of the message."""
        return self._known.get((say.message_id, say.visit))

    @property
    def has_news(self) -> bool:
        """Whether something waits that this run is to answer."""
        return any(not waiting.moved for waiting in self.queue)

    @property
    def unanswered(self) -> int:
        """Messages that nothing has become of yet."""
        return sum(waiting.said is None for waiting in self._known.values())

    def open(self) -> list[Waiting]:
        """Messages whose turns are not over."""
        return [waiting for waiting in self._known.values() if waiting.is_open]

    def leave_to_the_next_run(self) -> None:
        for waiting in self.queue:
            waiting.moved = True

    def placed(self, say: Say) -> Say:
        """A message that an earlier run was stopped in keeps its turn."""
        begun = self._begun.pop(say.message_id, None)
        return say if begun is None else replace(say, again=begun.turn, visit=max(say.visit, begun.visits))

    def complete(self, waiting: Waiting, said: Said) -> None:
        """The message has this answer, now and for its repeats."""
        waiting.said = self._completed[waiting.say.message_id] = said

    def recall(self, turn: KnownTurn) -> None:
        """What a run before this one left: answers, failures, and a turn that it was stopped in."""
        if turn.running:
            self._begun[turn.message_id] = turn
        elif turn.completed:
            self._completed[turn.message_id] = _recalled(turn)
        else:
            say = Say(turn.message_id, "", "", 0, "", "", visit=turn.visits)
            self._known[turn.message_id, turn.visits] = Waiting(say, said=_recalled(turn))

    def forget(self) -> None:
        """Keep the newest messages only; older repeats are answered by the ledger's next head."""
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

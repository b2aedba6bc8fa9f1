"""Signs the answers of turns, each with the answer before it in its session: a chain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.chat.events import TurnAnswered
from domain.chat.forks import InheritedTurns, session_of_turn
from domain.chat.turns import Turn, load_turn, turn_stream
from domain.events import Event
from domain.ledger import Ledger
from domain.signatures.ports import Signer
from domain.signatures.statements import AnsweredTurn, PreviousAnswer

FindPrevious = Callable[[str, int, Sequence[InheritedTurns]], PreviousAnswer | None]
"""Finds the last answered turn before a turn of a session with this lineage."""

_FIRST_READ = 2
_READ = 100
_MOST_READ = 10_000
"""Limit on the turns that are searched: turn numbers come through Temporal, so they may be anything."""


@dataclass(frozen=True, slots=True)
class TurnSigner:
    """Signs answers as they are decided, so that an answer and its signature are one event."""

    signer: Signer
    find_previous: FindPrevious

    def sign(
        self, turn: Turn, events: Sequence[Event], *, session_id: str, lineage: Sequence[InheritedTurns] = ()
    ) -> list[Event]:
        """Return the events that end a turn, with the signature of the answer among them."""
        return [
            self._with_signature(turn, event, session_id, lineage) if isinstance(event, TurnAnswered) else event
            for event in events
        ]

    def _with_signature(
        self, turn: Turn, answered: TurnAnswered, session_id: str, lineage: Sequence[InheritedTurns]
    ) -> TurnAnswered:
        statement = AnsweredTurn(
            tenant_id=answered.tenant_id,
            session_id=session_id,
            turn=answered.turn,
            agent_id=turn.agent_id,
            agent_version=turn.agent_version,
            model=answered.model,
            message_hash=turn.message_hash,
            content_hash=answered.reply_hash,
            at=answered.at,
            previous=self.find_previous(session_id, answered.turn, lineage),
        ).statement()
        return answered.model_copy(update={"signature": self.signer.sign(statement)})


def find_previous_answer(
    ledger: Ledger, session_id: str, turn: int, lineage: Sequence[InheritedTurns]
) -> PreviousAnswer | None:
    """Return the last answered turn before this one, by the ledger; turns that failed are passed over."""
    last, size = turn - 1, _FIRST_READ
    while last > max(0, turn - _MOST_READ):
        numbers = range(last, max(0, last - size), -1)
        streams = [turn_stream(session_of_turn(session_id, lineage, number), number) for number in numbers]
        known = ledger.read_many(streams)
        for stream in streams:
            found = load_turn(known.get(stream, ()))
            if found.status == "completed" and found.reply_hash is not None:
                return PreviousAnswer(found.number, found.reply_hash)
        last, size = last - size, _READ
    return None

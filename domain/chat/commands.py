"""Commands on chats other than messages, through the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from domain.chat import forks, ratings, sessions, turns
from domain.chat.events import SessionOpened
from domain.content import Content
from domain.errors import NotFound
from domain.events import Cause, Event
from domain.ids import root_of
from domain.ledger import Change, Ledger, retry_on_conflict


@dataclass(frozen=True, slots=True)
class TurnRating:
    """A rating of an answer, 1 to 5, with an optional comment."""

    session_id: str
    turn: int
    rating: int
    comment: str | None = None


def fork(ledger: Ledger, session_id: str, turn: int, fork_id: str, cause: Cause) -> sessions.SessionOpening:
    """Open the session `fork_id` with the history of another one up to a turn; once, however often it is asked.

    Raises:
        NotFound: there is no such session or turn, or the session is another tenant's.
        Conflict: a turn up to this one is not over yet.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    known = ledger.read(sessions.session_stream(session_id))
    session = sessions.load_session(known)
    last = _last_turn(ledger, session_id, session)
    kept = _turns(ledger, session_id, session, turn) if turn <= last else []
    opening = forks.fork_opening(_origin(known), session, kept, last=last, turn=turn, cause=cause, fork_id=fork_id)
    events = sessions.open_session(sessions.Session(), opening, cause)
    ledger.append(Change(sessions.session_stream(fork_id), 0, events), key=f"open:{fork_id}")
    return opening


def erase(ledger: Ledger, session_id: str, cause: Cause) -> None:
    """End a session because its texts are erased. A repeat changes nothing.

    Raises:
        domain.errors.Unavailable: the ledger cannot be reached.
    """

    def write() -> None:
        session = sessions.load_session(ledger.read(sessions.session_stream(session_id)))
        if events := sessions.erase_session(session, session_id, cause):
            change = Change(sessions.session_stream(session_id), session.version, events)
            ledger.append(change, key=f"erase:{session_id}:{session.version}")

    retry_on_conflict(write)


def rate(ledger: Ledger, rating: TurnRating, cause: Cause, *, key: str) -> None:
    """Say how good an answer is; the latest word counts.

    Raises:
        NotFound: there is no such session or turn, or the session is another tenant's.
        Conflict: the turn has no answer.
        domain.errors.Unavailable: the ledger cannot be reached.
    """
    session = sessions.load_session(ledger.read(sessions.session_stream(rating.session_id)))
    if session.tenant_id != cause.tenant_id:
        raise NotFound("there is no such session")
    home = forks.session_of_turn(rating.session_id, session.lineage, rating.turn)
    answered = ledger.read(turns.turn_stream(home, rating.turn))
    retry_on_conflict(partial(_rate, ledger, rating, answered, cause, key))


def _rate(ledger: Ledger, rating: TurnRating, answered: Sequence[Event], cause: Cause, key: str) -> None:
    stream = ratings.stream(rating.session_id, rating.turn)
    given = ledger.read(stream)
    comment = Content(root_of(rating.session_id), rating.comment) if rating.comment else None
    events = ratings.rate(
        answered,
        given,
        session_id=rating.session_id,
        turn=rating.turn,
        rating=rating.rating,
        comment_hash=comment.hash if comment else None,
        cause=cause,
    )
    if events:
        ledger.append(Change(stream, len(given), events), key=key, content=[comment] if comment else [])


def _origin(known: Sequence[Event]) -> SessionOpened:
    opened = next((event for event in known if isinstance(event, SessionOpened)), None)
    if opened is None:
        raise NotFound("there is no such session")
    return opened


def _last_turn(ledger: Ledger, session_id: str, session: sessions.Session) -> int:
    newest = ledger.read_last(turns.turn_stream_prefix(session_id), 1).values()
    return max((turns.load_turn(events).number for events in newest), default=forks.inherited_count(session.lineage))


def _turns(ledger: Ledger, session_id: str, session: sessions.Session, upto: int) -> list[turns.Turn]:
    """Return the session's own turns up to this one: inherited ones had ended when it was opened."""
    own = range(forks.inherited_count(session.lineage) + 1, upto + 1)
    streams = ledger.read_many([turns.turn_stream(session_id, turn) for turn in own])
    return [turns.load_turn(events) for events in streams.values()]

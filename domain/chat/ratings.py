"""Ratings of answers by the people who got them."""

from collections.abc import Iterable, Sequence

from domain.chat.events import TurnRated, TurnStarted
from domain.chat.turns import load_turn
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event


def stream(session_id: str, turn: int) -> str:
    return f"rating:{session_id}:{turn:08d}"


def rate(
    answered: Sequence[Event],
    given: Iterable[Event],
    *,
    session_id: str,
    turn: int,
    rating: int,
    comment_hash: str | None,
    cause: Cause,
) -> list[Event]:
    """Rate a turn whose events are `answered`, after the ratings `given` to it; nothing if the last one is equal.

    Raises:
        NotFound: there is no such turn.
        Conflict: it has no answer.
    """
    begun = next((event for event in answered if isinstance(event, TurnStarted)), None)
    if begun is None:
        raise NotFound(f"the session has no turn {turn}")
    if load_turn(answered).status != "completed":
        raise Conflict(f"turn {turn} has no answer to rate", turn=turn)
    rated = TurnRated(
        session_id=session_id,
        turn=turn,
        agent_id=begun.agent_id,
        rating=rating,
        comment_hash=comment_hash,
        **cause.fields(),
    )
    last = next((event for event in reversed(list(given)) if isinstance(event, TurnRated)), None)
    return [] if last and (last.rating, last.comment_hash) == (rating, comment_hash) else [rated]

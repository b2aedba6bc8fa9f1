"""Forks: sessions whose first turns are stored in other sessions."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from domain.chat.events import ForkOrigin, SessionOpened
from domain.chat.sessions import Session, SessionOpening
from domain.chat.turns import Turn
from domain.errors import Conflict, NotFound
from domain.events import Cause

ENDED_STATUSES = frozenset({"completed", "rejected", "failed"})
"""The statuses of ended turns."""


class InheritedTurns(Protocol):
    """The turns that a fork inherits from one session: those after the previous stretch, up to `upto`."""

    @property
    def session_id(self) -> str: ...

    @property
    def upto(self) -> int: ...


def session_of_turn(session_id: str, lineage: Sequence[InheritedTurns], turn: int) -> str:
    """Return the session that stores a turn."""
    return next((origin.session_id for origin in lineage if turn <= origin.upto), session_id)


def inherited_count(lineage: Sequence[InheritedTurns]) -> int:
    """Return the number of inherited turns; the session's own follow them."""
    return lineage[-1].upto if lineage else 0


def lineage_at(session_id: str, lineage: Iterable[ForkOrigin], turn: int) -> tuple[ForkOrigin, ...]:
    """Return the lineage of a fork of this session at a turn."""
    before = list(lineage)
    whole = [origin for origin in before if origin.upto < turn]
    last = session_of_turn(session_id, before, turn)
    return (*whole, ForkOrigin(session_id=last, upto=turn))


def fork_opening(
    origin: SessionOpened, session: Session, turns: Sequence[Turn], *, last: int, turn: int, cause: Cause, fork_id: str
) -> SessionOpening:
    """What a fork begins with. `turns` are those up to `turn`, `last` is the newest one that has begun.

    Raises:
        NotFound: the session is another tenant's, or has no such turn.
        Conflict: a turn is not over yet, or the session was erased.
    """
    if session.tenant_id != cause.tenant_id:
        raise NotFound("there is no such session")
    if session.erased:
        raise Conflict("the texts of this session were erased")
    if not 1 <= turn <= last:
        raise NotFound(f"the session has no turn {turn}")
    if open_turns := [each.number for each in turns if each.status not in ENDED_STATUSES]:
        raise Conflict(f"turn {open_turns[0]} has not ended yet", turn=open_turns[0])
    return SessionOpening(
        session_id=fork_id,
        agent_id=origin.agent_id,
        key_id=cause.by,
        workflow_id=f"chat-{fork_id}",
        user_id=origin.user_id,
        project_id=origin.project_id,
        lineage=lineage_at(origin.session_id, session.lineage, turn),
    )

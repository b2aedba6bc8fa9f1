"""Sessions and turns: who may speak, and what became of each message."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from typing import Literal

from domain.chat.events import (
    FailureCode,
    SessionEnded,
    SessionOpened,
    SessionSummarised,
    TurnAnswered,
    TurnFailed,
    TurnStarted,
)
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event

TurnStatus = Literal["running", "completed", "failed"]


def session_stream(session_id: str) -> str:
    return f"session:{session_id}"


def turn_stream(session_id: str, turn: int) -> str:
    """Turns are numbered from 1; the padding keeps the streams of a session in order."""
    return f"turn:{session_id}:{turn:08d}"


def summary_stream(session_id: str, upto: int) -> str:
    return f"summary:{session_id}:{upto:08d}"


@dataclass(frozen=True, slots=True)
class Session:
    """Whose it is, with whom, and whether it has ended."""

    version: int = 0
    agent_id: str = ""
    key_id: str = ""
    ended: bool = False


def evolve_session(session: Session, event: Event) -> Session:
    version = session.version + 1
    match event:
        case SessionOpened():
            return replace(session, version=version, agent_id=event.agent_id, key_id=event.key_id)
        case SessionEnded():
            return replace(session, version=version, ended=True)
        case _:
            return replace(session, version=version)


def load_session(events: Iterable[Event]) -> Session:
    return reduce(evolve_session, events, Session())


def admit(session: Session, *, key_id: str, agent_id: str | None = None) -> None:
    """Refuse who may not speak here: another key, to another agent, or after the end. A new session admits anybody.

    Raises:
        NotFound: the session is another key's.
        Conflict: it is with another agent, or has ended.
    """
    if session.version == 0:
        return
    if session.key_id != key_id:
        raise NotFound("there is no such session")
    if session.ended:
        raise Conflict("this session has ended")
    if agent_id is not None and session.agent_id != agent_id:
        raise Conflict(f"this session is with {session.agent_id}", agent_id=session.agent_id)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a session begins with."""

    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None = None
    project_id: str | None = None


def open_session(session: Session, opening: Opening, cause: Cause) -> list[Event]:
    """Open it, unless it is open already."""
    if session.version:
        return []
    values = {name: getattr(opening, name) for name in Opening.__dataclass_fields__}
    return [SessionOpened(**values, **cause.fields())]


def end_session(session: Session, session_id: str, *, key_id: str, cause: Cause) -> list[Event]:
    """End it; ending it again changes nothing.

    Raises:
        NotFound: there is no such session, or it is another key's.
    """
    if session.version == 0 or session.key_id != key_id:
        raise NotFound("there is no such session")
    return [] if session.ended else [SessionEnded(session_id=session_id, **cause.fields())]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and what became of it."""

    version: int = 0
    status: TurnStatus | None = None
    visits: int = 0
    number: int = 0
    message_id: str = ""
    message_hash: str = ""
    reply_hash: str | None = None
    finish: str | None = None
    model: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    code: FailureCode | None = None
    error: str | None = None


def evolve_turn(turn: Turn, event: Event) -> Turn:
    version = turn.version + 1
    match event:
        case TurnStarted():
            return Turn(version, "running", turn.visits + 1, event.turn, event.message_id, event.message_hash)
        case TurnAnswered():
            return replace(
                turn,
                version=version,
                status="completed",
                reply_hash=event.reply_hash,
                finish=event.finish,
                model=event.model,
                prompt_tokens=event.prompt_tokens,
                completion_tokens=event.completion_tokens,
                cost=event.cost,
            )
        case TurnFailed():
            return replace(turn, version=version, status="failed", code=event.code, error=event.message)
        case _:
            return replace(turn, version=version)


def load_turn(events: Iterable[Event]) -> Turn:
    return reduce(evolve_turn, events, Turn())


def start(turn: Turn, started: TurnStarted) -> list[Event]:
    """Begin to work on it; again if it failed, and not again while it runs or when it is answered.

    Raises:
        Conflict: the turn is another message's.
    """
    if turn.version and turn.message_id != started.message_id:
        raise Conflict(f"turn {started.turn} is another message's")
    return [] if turn.status in {"running", "completed"} else [started]


def answer(turn: Turn, answered: TurnAnswered) -> list[Event]:
    """The first answer stands; it also heals a turn that had been given up."""
    return [] if turn.status == "completed" else [answered]


def fail(turn: Turn, failed: TurnFailed) -> list[Event]:
    """Give it up, unless it is over."""
    return [] if turn.status in {"completed", "failed"} else [failed]


def summarised(session_id: str, upto: int, summary_hash: str, cause: Cause) -> list[Event]:
    return [SessionSummarised(session_id=session_id, upto=upto, summary_hash=summary_hash, **cause.fields())]

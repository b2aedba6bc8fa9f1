"""A session: its owner, agent and end, and who is admitted."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from domain.chat.events import (
    ForkOrigin,
    SessionEnded,
    SessionErased,
    SessionOpened,
    SessionSummarised,
)
from domain.errors import Conflict, NotFound
from domain.events import Cause, Event
from domain.tenant_ids import DEFAULT


def session_stream(session_id: str) -> str:
    return f"session:{session_id}"


def summary_stream(session_id: str, upto: int) -> str:
    return f"summary:{session_id}:{upto:08d}"


@dataclass(frozen=True, slots=True)
class Session:
    """The owner, agent and end of a session. `lineage` names the sessions of a fork's first turns.

    An erased session has ended, too.
    """

    version: int = 0
    agent_id: str = ""
    key_id: str = ""
    tenant_id: str = DEFAULT
    ended: bool = False
    erased: bool = False
    lineage: tuple[ForkOrigin, ...] = ()


def evolve_session(session: Session, event: Event) -> Session:
    version = session.version + 1
    match event:
        case SessionOpened():
            return replace(
                session,
                version=version,
                agent_id=event.agent_id,
                key_id=event.key_id,
                tenant_id=event.tenant_id,
                lineage=event.lineage,
            )
        case SessionEnded():
            return replace(session, version=version, ended=True)
        case SessionErased():
            return replace(session, version=version, ended=True, erased=True)
        case _:
            return replace(session, version=version)


def load_session(events: Iterable[Event]) -> Session:
    return reduce(evolve_session, events, Session())


def admit(session: Session, *, tenant_id: str, agent_id: str | None = None) -> None:
    """Refuse who may not speak here: in another tenant, to another agent, or after the end. A new one admits anybody.

    Raises:
        NotFound: the session is another tenant's.
        Conflict: it is with another agent, or has ended.
    """
    if session.version == 0:
        return
    if session.tenant_id != tenant_id:
        raise NotFound("there is no such session")
    if session.ended:
        raise Conflict("this session has ended")
    if agent_id is not None and session.agent_id != agent_id:
        raise Conflict(f"this session is with {session.agent_id}", agent_id=session.agent_id)


@dataclass(frozen=True, slots=True)
class SessionOpening:
    """The fields of a new session."""

    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None = None
    project_id: str | None = None
    lineage: tuple[ForkOrigin, ...] = ()


def open_session(session: Session, opening: SessionOpening, cause: Cause) -> list[Event]:
    """Open the session, unless it is open already."""
    if session.version:
        return []
    values = {name: getattr(opening, name) for name in SessionOpening.__dataclass_fields__}
    return [SessionOpened(**values, **cause.fields())]


def end_session(session: Session, session_id: str, cause: Cause) -> list[Event]:
    """End it; ending it again changes nothing.

    Raises:
        NotFound: there is no such session, or it is another tenant's.
    """
    if session.version == 0 or session.tenant_id != cause.tenant_id:
        raise NotFound("there is no such session")
    return [] if session.ended else [SessionEnded(session_id=session_id, **cause.fields())]


def erase_session(session: Session, session_id: str, cause: Cause) -> list[Event]:
    """End it because its texts are erased; nothing if they were before.

    One that was never opened is opened as well, so that a message on its way cannot open it.
    """
    opening = SessionOpening(session_id, agent_id="", key_id=cause.by, workflow_id=f"chat-{session_id}")
    opened = open_session(session, opening, cause)
    return [] if session.erased else [*opened, SessionErased(session_id=session_id, **cause.fields())]


def summarise(session_id: str, upto: int, summary_hash: str, cause: Cause) -> list[Event]:
    return [SessionSummarised(session_id=session_id, upto=upto, summary_hash=summary_hash, **cause.fields())]

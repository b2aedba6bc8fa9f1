"""Sessions and turns as people look at them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from domain.chat.aggregate import TurnStatus
from domain.chat.events import SessionEnded, SessionOpened, TurnAnswered, TurnFailed, TurnStarted
from domain.events import Recorded
from domain.projection import Key, Row, Rows

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session: `status` is `running` while a turn is worked on, else `idle` or `ended`."""

    TABLE: ClassVar[str] = "chat_sessions"
    KEY: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None
    project_id: str | None
    status: Literal["running", "idle", "ended"]
    turns: int
    opened_at: datetime
    last_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class TurnRow:
    """A turn: `status` is `running`, `completed` or `failed`; `visits` is how often it was started."""

    TABLE: ClassVar[str] = "chat_turns"
    KEY: ClassVar[tuple[str, ...]] = ("session_id", "turn")

    session_id: str
    turn: int
    message_id: str
    message_hash: str
    reply_hash: str | None
    agent_id: str
    agent_version: int
    status: TurnStatus
    visits: int
    model: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal
    code: str | None
    error: str | None
    at: datetime
    ended_at: datetime | None


class ChatProjection:
    """`domain.projection.Projection` of chats."""

    name = "chat"
    kinds: tuple[type[Row], ...] = (SessionRow, TurnRow)

    def touches(self, recorded: Recorded) -> Iterable[tuple[type[Row], Key]]:
        match recorded.event:
            case SessionOpened() | SessionEnded() as event:
                yield SessionRow, (event.session_id,)
            case TurnStarted() | TurnAnswered() | TurnFailed() as event:
                yield SessionRow, (event.session_id,)
                yield TurnRow, (event.session_id, event.turn)

    def project(self, recorded: Recorded, rows: Rows) -> None:
        match recorded.event:
            case SessionOpened() as event:
                rows.put(_opened(event))
            case SessionEnded() as event:
                session = _session(rows, event.session_id)
                rows.put(replace(session, status="ended", last_at=event.at, ended_at=event.at))
            case TurnStarted() as event:
                rows.put(_started(event, rows.get(TurnRow, event.session_id, event.turn)))
                _touch(rows, event, "running")
            case TurnAnswered() as event:
                rows.put(_answered(_turn(rows, event), event))
                _touch(rows, event, "idle")
            case TurnFailed() as event:
                failed = replace(_turn(rows, event), status="failed", code=event.code, error=event.message)
                rows.put(replace(failed, ended_at=event.at))
                _touch(rows, event, "idle")


def _session(rows: Rows, session_id: str) -> SessionRow:
    session = rows.get(SessionRow, session_id)
    if session is None:
        raise LookupError(f"session {session_id} was never opened")
    return session


def _turn(rows: Rows, event: TurnAnswered | TurnFailed) -> TurnRow:
    turn = rows.get(TurnRow, event.session_id, event.turn)
    if turn is None:
        raise LookupError(f"turn {event.turn} of session {event.session_id} was never started")
    return turn


def _opened(event: SessionOpened) -> SessionRow:
    return SessionRow(
        session_id=event.session_id,
        agent_id=event.agent_id,
        key_id=event.key_id,
        workflow_id=event.workflow_id,
        user_id=event.user_id,
        project_id=event.project_id,
        status="idle",
        turns=0,
        opened_at=event.at,
        last_at=event.at,
        ended_at=None,
    )


def _started(event: TurnStarted, before: TurnRow | None) -> TurnRow:
    return TurnRow(
        session_id=event.session_id,
        turn=event.turn,
        message_id=event.message_id,
        message_hash=event.message_hash,
        reply_hash=None,
        agent_id=event.agent_id,
        agent_version=event.agent_version,
        status="running",
        visits=before.visits + 1 if before else 1,
        model=event.model,
        finish=None,
        prompt_tokens=0,
        completion_tokens=0,
        cost=ZERO,
        code=None,
        error=None,
        at=event.at,
        ended_at=None,
    )


def _answered(turn: TurnRow, event: TurnAnswered) -> TurnRow:
    return replace(
        turn,
        status="completed",
        reply_hash=event.reply_hash,
        finish=event.finish,
        model=event.model,
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cost=event.cost,
        code=None,
        error=None,
        ended_at=event.at,
    )


def _touch(rows: Rows, event: TurnStarted | TurnAnswered | TurnFailed, doing: Literal["running", "idle"]) -> None:
    session = _session(rows, event.session_id)
    rows.put(
        replace(
            session,
            status="ended" if session.ended_at else doing,
            turns=max(session.turns, event.turn),
            last_at=event.at,
        )
    )

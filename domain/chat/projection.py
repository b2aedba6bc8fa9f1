"""The read model of sessions and turns."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from domain.chat.events import (
    SessionEnded,
    SessionErased,
    SessionOpened,
    TurnAnswered,
    TurnFailed,
    TurnHeld,
    TurnProposed,
    TurnRated,
    TurnResumed,
    TurnStarted,
    TurnStepped,
)
from domain.chat.forks import ENDED_STATUSES, inherited_count, session_of_turn
from domain.chat.turns import TurnStatus
from domain.chat.views import SessionRow, SessionStatus, TurnRow
from domain.events import RecordedEvent
from domain.ids import root_of
from domain.projection import Key, Row, Rows

ZERO = Decimal(0)

_SESSION_STATUS: dict[TurnStatus, SessionStatus] = {
    "running": "running",
    "awaiting_approval": "awaiting_approval",
    "completed": "idle",
    "rejected": "idle",
    "failed": "idle",
}
TurnProgress = TurnStepped | TurnProposed | TurnHeld | TurnResumed | TurnAnswered | TurnFailed
AfterTurnStart = TurnProgress | TurnRated
TurnEvent = TurnStarted | TurnProgress


class ChatProjection:
    """`domain.projection.Projection` of chats."""

    name = "chat"
    kinds: tuple[type[Row], ...] = (SessionRow, TurnRow)

    def touches(self, recorded: RecordedEvent) -> Iterable[tuple[type[Row], Key]]:
        match recorded.event:
            case SessionOpened() | SessionEnded() | SessionErased() as event:
                yield SessionRow, (event.session_id,)
                if isinstance(event, SessionOpened):
                    yield from ((TurnRow, place) for place in _stored_places(event))
            case TurnRated() as event:
                yield TurnRow, (event.session_id, event.turn)
            case event if isinstance(event, TurnEvent):
                yield SessionRow, (event.session_id,)
                yield TurnRow, (event.session_id, event.turn)

    def project(self, recorded: RecordedEvent, rows: Rows) -> None:
        match recorded.event:
            case SessionOpened() as event:
                rows.put(_new_session(event))
                _inherit(rows, event)
            case SessionEnded() as event:
                session = _session(rows, event.session_id)
                rows.put(replace(session, status="ended", last_at=event.at, ended_at=event.at))
            case SessionErased() as event:
                session = _session(rows, event.session_id)
                ended_at = session.ended_at or event.at
                rows.put(replace(session, status="ended", user_id=None, last_at=event.at, ended_at=ended_at))
            case TurnRated() as event:
                rows.put(replace(_turn(rows, event), rating=event.rating))
            case TurnStarted() as event:
                rows.put(_new_turn(event, rows.get(TurnRow, event.session_id, event.turn)))
                _touch(rows, event, "running")
            case event if isinstance(event, TurnProgress):
                turn = _advance(_turn(rows, event), event)
                rows.put(turn)
                _touch(rows, event, turn.status)


def _session(rows: Rows, session_id: str) -> SessionRow:
    session = rows.get(SessionRow, session_id)
    if session is None:
        raise LookupError(f"session {session_id} was never opened")
    return session


def _turn(rows: Rows, event: AfterTurnStart) -> TurnRow:
    turn = rows.get(TurnRow, event.session_id, event.turn)
    if turn is None:
        raise LookupError(f"turn {event.turn} of session {event.session_id} was never started")
    return turn


def _new_session(event: SessionOpened) -> SessionRow:
    return SessionRow(
        session_id=event.session_id,
        tenant_id=event.tenant_id,
        agent_id=event.agent_id,
        key_id=event.key_id,
        workflow_id=event.workflow_id,
        user_id=event.user_id,
        project_id=event.project_id,
        status="idle",
        turns=inherited_count(event.lineage),
        opened_at=event.at,
        last_at=event.at,
        ended_at=None,
        origin_session_id=event.lineage[-1].session_id if event.lineage else None,
        origin_turn=inherited_count(event.lineage) or None,
    )


def _stored_places(event: SessionOpened) -> list[tuple[str, int]]:
    """Return the places where the turns of a fork are stored."""
    turns = range(1, inherited_count(event.lineage) + 1)
    return [(session_of_turn(event.session_id, event.lineage, turn), turn) for turn in turns]


def _inherit(rows: Rows, event: SessionOpened) -> None:
    for origin, number in _stored_places(event):
        turn = rows.get(TurnRow, origin, number)
        if turn is not None and turn.status in ENDED_STATUSES:
            rows.put(replace(turn, session_id=event.session_id, origin_session_id=origin))


def _new_turn(event: TurnStarted, before: TurnRow | None) -> TurnRow:
    return TurnRow(
        session_id=event.session_id,
        turn=event.turn,
        tenant_id=event.tenant_id,
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
        approval_id=None,
        rating=None,
        tools=[],
        steps=0,
        origin_session_id=None,
        signature=None,
    )


def _advance(turn: TurnRow, event: TurnProgress) -> TurnRow:
    match event:
        case TurnStepped():
            return _with_step(turn, event)
        case TurnProposed():
            return _with_proposal(turn, event)
        case TurnHeld():
            return replace(turn, status="awaiting_approval", approval_id=event.approval_id)
        case TurnResumed():
            return replace(turn, status="running", tools=_without(turn.tools, event.refused_tool))
        case TurnAnswered():
            return _with_answer(turn, event)
        case TurnFailed():
            status: TurnStatus = "rejected" if event.code == "REJECTED" else "failed"
            return replace(turn, status=status, code=event.code, error=event.message, ended_at=event.at)


def _with_step(turn: TurnRow, event: TurnStepped) -> TurnRow:
    asked = [tool.name for tool in event.tools if tool.is_valid]
    return replace(
        turn,
        steps=event.step,
        tools=[*turn.tools, *asked],
        prompt_tokens=turn.prompt_tokens + event.prompt_tokens,
        completion_tokens=turn.completion_tokens + event.completion_tokens,
        cost=turn.cost + event.cost,
    )


def _without(tools: list[str], refused: str | None) -> list[str]:
    """Return the tools less one call of the refused one."""
    place = tools.index(refused) if refused in tools else len(tools)
    return [*tools[:place], *tools[place + 1 :]]


def _with_proposal(turn: TurnRow, event: TurnProposed) -> TurnRow:
    """Update the row without the held answer's hash: nobody reads it in the chat before it is approved."""
    return replace(
        turn,
        finish=event.finish,
        model=event.model,
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cost=event.cost,
    )


def _with_answer(turn: TurnRow, event: TurnAnswered) -> TurnRow:
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
        approval_id=event.approval_id or turn.approval_id,
        signature=event.signature,
    )


def _touch(rows: Rows, event: TurnEvent, doing: TurnStatus) -> None:
    """Update the session's status. Nested sessions have no row of their own: their run shows them."""
    if root_of(event.session_id) != event.session_id:
        return
    session = _session(rows, event.session_id)
    rows.put(
        replace(
            session,
            status="ended" if session.ended_at else _SESSION_STATUS[doing],
            turns=max(session.turns, event.turn),
            last_at=event.at,
        )
    )

"""A turn: one message and its result."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import reduce
from typing import Any, Literal

from domain.chat.events import (
    FailureCode,
    TurnAnswered,
    TurnFailed,
    TurnHeld,
    TurnProposed,
    TurnResumed,
    TurnStarted,
    TurnStepped,
)
from domain.errors import Conflict
from domain.events import Cause, Event

TurnStatus = Literal["running", "awaiting_approval", "completed", "rejected", "failed"]


def turn_stream(session_id: str, turn: int) -> str:
    """Return the stream of a turn, numbered from 1; the zero padding keeps a session's streams in order."""
    return f"{turn_stream_prefix(session_id)}{turn:08d}"


def turn_stream_prefix(session_id: str) -> str:
    """Return the beginning of the names of all turn streams of a session."""
    return f"turn:{session_id}:"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message and its result. Tokens and cost are those of its ended `steps`."""

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
    steps: int = 0
    approval_id: str | None = None
    agent_id: str = ""
    agent_version: int = 0


def evolve_turn(turn: Turn, event: Event) -> Turn:
    version = turn.version + 1
    match event:
        case TurnStarted():
            return _begin(turn, event, version)
        case TurnStepped():
            return replace(
                turn,
                version=version,
                steps=event.step,
                prompt_tokens=turn.prompt_tokens + event.prompt_tokens,
                completion_tokens=turn.completion_tokens + event.completion_tokens,
                cost=turn.cost + event.cost,
            )
        case TurnAnswered() | TurnProposed():
            return replace(_apply_reply(turn, event), version=version)
        case TurnHeld() | TurnResumed():
            return replace(_apply_hold(turn, event), version=version)
        case TurnFailed():
            status: TurnStatus = "rejected" if event.code == "REJECTED" else "failed"
            return replace(turn, version=version, status=status, code=event.code, error=event.message)
        case _:
            return replace(turn, version=version)


def _begin(turn: Turn, event: TurnStarted, version: int) -> Turn:
    return Turn(
        version=version,
        status="running",
        visits=turn.visits + 1,
        number=event.turn,
        message_id=event.message_id,
        message_hash=event.message_hash,
        agent_id=event.agent_id,
        agent_version=event.agent_version,
    )


def _apply_hold(turn: Turn, event: TurnHeld | TurnResumed) -> Turn:
    if isinstance(event, TurnResumed):
        return replace(turn, status="running")
    return replace(turn, status="awaiting_approval", approval_id=event.approval_id)


def _apply_reply(turn: Turn, event: TurnAnswered | TurnProposed) -> Turn:
    return replace(
        turn,
        status="completed" if isinstance(event, TurnAnswered) else turn.status,
        reply_hash=event.reply_hash,
        finish=event.finish,
        model=event.model,
        prompt_tokens=event.prompt_tokens,
        completion_tokens=event.completion_tokens,
        cost=event.cost,
    )


def load_turn(events: Iterable[Event]) -> Turn:
    return reduce(evolve_turn, events, Turn())


def start(turn: Turn, started: TurnStarted) -> list[Event]:
    """Start the turn, again if it failed; nothing while it runs or once it has ended.

    Raises:
        Conflict: the turn is another message's.
    """
    if turn.version and turn.message_id != started.message_id:
        raise Conflict(f"turn {started.turn} is another message's")
    return [started] if turn.status in {None, "failed"} else []


def step(turn: Turn, stepped: TurnStepped) -> list[Event]:
    """Record a step that did not end the turn, once."""
    return [stepped] if turn.status == "running" and stepped.step > turn.steps else []


def answer(turn: Turn, answered: TurnAnswered) -> list[Event]:
    """Record the answer: the first one counts; it also heals a failed turn. Tokens and cost are the last step's."""
    if turn.status in {"completed", "rejected"}:
        return []
    return [answered.model_copy(update=_turn_totals(turn, answered)) if turn.steps else answered]


def propose(turn: Turn, proposed: TurnProposed) -> list[Event]:
    """Record an answer that needs an approval: the first one counts. Tokens and cost are the last step's."""
    if turn.status != "running" or turn.reply_hash is not None:
        return []
    return [proposed.model_copy(update=_turn_totals(turn, proposed)) if turn.steps else proposed]


def hold(turn: Turn, held: TurnHeld) -> list[Event]:
    """Wait for an approval."""
    return [held] if turn.status == "running" else []


def resume(turn: Turn, resumed: TurnResumed) -> list[Event]:
    """Resume after the decision on the approval that the turn waits for."""
    return [resumed] if turn.status == "awaiting_approval" and turn.approval_id == resumed.approval_id else []


def release(turn: Turn, approval_id: str, reply_hash: str, cause: Cause, *, session_id: str) -> list[Event]:
    """Release the held answer, or the text that a person made of it."""
    if turn.status != "awaiting_approval" or turn.approval_id != approval_id:
        return []
    return [
        TurnAnswered(
            session_id=session_id,
            turn=turn.number,
            message_id=turn.message_id,
            reply_hash=reply_hash,
            finish=turn.finish or "stop",
            model=turn.model or "",
            prompt_tokens=turn.prompt_tokens,
            completion_tokens=turn.completion_tokens,
            cost=turn.cost,
            approval_id=approval_id,
            **cause.fields(),
        )
    ]


def fail(turn: Turn, failed: TurnFailed) -> list[Event]:
    """Fail the turn, unless it has ended."""
    return [failed] if turn.status in {None, "running", "awaiting_approval"} else []


def _turn_totals(turn: Turn, last: TurnAnswered | TurnProposed) -> dict[str, Any]:
    return {
        "prompt_tokens": turn.prompt_tokens + last.prompt_tokens,
        "completion_tokens": turn.completion_tokens + last.completion_tokens,
        "cost": turn.cost + last.cost,
    }

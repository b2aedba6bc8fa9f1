"""The sessions of a swarm's agents: each seat is a nested session, with turns numbered from 1."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from domain.events import Event
from domain.ids import root_of

PREFIX = "task_"
"""The prefix of swarm ids."""
_COORDINATOR = "coordinator/"


def seat(agent_id: str, *, coordinating: bool) -> str:
    """Return the name of a seat in its swarm. A coordinator that is also a member has two; agent ids have no slash."""
    return f"{_COORDINATOR}{agent_id}" if coordinating else agent_id


def seat_of_session(session_id: str) -> tuple[str, str] | None:
    """Return the swarm and the seat that a session belongs to; None for other sessions.

    A session that a member opened by delegation, `task_x/ada/…`, belongs to that member's seat.
    """
    task_id = root_of(session_id)
    inside = session_id.removeprefix(f"{task_id}/").split("/")
    if session_id == task_id or not task_id.startswith(PREFIX):
        return None
    return task_id, "/".join(inside[: 2 if inside[0] == _COORDINATOR[:-1] and inside[1:] else 1])


@dataclass(frozen=True, slots=True)
class MemberTurnEvent:
    """The event of a turn on a seat."""

    task_id: str
    seat: str
    turn: int
    what: Literal["started", "held", "resumed", "answered", "failed"]
    at: datetime
    reply_hash: str | None = None
    approval_id: str | None = None
    code: str | None = None
    message: str | None = None


_TURNS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "chat.turn_started": lambda _: {"what": "started"},
    "chat.turn_held": lambda event: {"what": "held", "approval_id": event.approval_id},
    "chat.turn_resumed": lambda _: {"what": "resumed"},
    "chat.turn_answered": lambda event: {"what": "answered", "reply_hash": event.reply_hash},
    "chat.turn_failed": lambda event: {"what": "failed", "code": event.code, "message": event.message},
}
"""Turn events belong to the chat concept. They are identified here by their stored names, which never change."""


def member_turn_event(event: Event) -> MemberTurnEvent | None:
    """Return the turn of a seat that an event is about; None if it is about something else."""
    tells = _TURNS.get(event.NAME)
    if tells is None:
        return None
    turn = cast("Any", event)
    task_id, inside, name = turn.session_id.partition("/")
    if not inside or not task_id.startswith(PREFIX):
        return None
    return MemberTurnEvent(task_id, name, turn.turn, at=event.at, **tells(turn))

"""Ports of chats: admission, and views."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.chat.sessions import Session
from domain.chat.views import SessionRow, TurnRow
from domain.content import Content


@dataclass(frozen=True, slots=True)
class AdmittedSession:
    """The session so far, and the deployed agent, at the arrival of a message.

    `hold` is the risk level at which this agent's answers need an approval, or None.
    """

    session: Session
    agent_id: str
    agent_version: int
    hold: str | None = None


class Admission(Protocol):
    """Admission of messages to sessions."""

    def open(self, *, session_id: str, agent_id: str, tenant_id: str, message: Content) -> AdmittedSession:
        """Look up session and agent and store the message, unless this tenant may not speak here.

        Raises:
            domain.errors.NotFound: the agent is unknown or not deployed, or the session is another tenant's.
            domain.errors.Conflict: the session is with another agent, or has ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class TurnWithTexts:
    """A turn with its texts; None where they do not exist yet, or were erased."""

    row: TurnRow
    message: str | None
    response: str | None


@dataclass(frozen=True, slots=True)
class SettledAnswer:
    """An answer's text, None if it was erased, and its signature, None if it has none."""

    text: str | None
    signature: str | None


class SettledAnswers(Protocol):
    """Answers that were just settled, from the ledger: views may lag behind."""

    def read(self, session_id: str, turn: int, reply_hash: str) -> SettledAnswer:
        """Return the answer of a turn.

        Raises:
            domain.errors.Unavailable: it cannot be read now.
        """
        ...


class ChatReads(Protocol):
    """Sessions and turns, up to the projection's position."""

    def session(self, session_id: str) -> SessionRow | None: ...

    def turns(self, session_id: str, *, skip: int, limit: int) -> list[TurnWithTexts]:
        """Return turns in order."""
        ...

    def turn_of(self, session_id: str, message_id: str) -> TurnRow | None:
        """Return the turn of a message, if it has started."""
        ...

    def overdue_turns(self, before: datetime, limit: int) -> list[TurnRow]:
        """Return turns that run or wait for an approval and started before this moment, `limit` of each at most."""
        ...

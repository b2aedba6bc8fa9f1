"""What can happen in a chat."""

from decimal import Decimal
from typing import Literal

from domain.events import Event


class SessionOpened(Event):
    """A key began to talk with an agent. The session is its own from now on."""

    NAME = "chat.session_opened"
    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None = None
    project_id: str | None = None


class SessionEnded(Event):
    """Nothing more can be said in this session."""

    NAME = "chat.session_ended"
    session_id: str


class TurnStarted(Event):
    """The agent began to work on a message. A turn that failed may start again, on the same message."""

    NAME = "chat.turn_started"
    session_id: str
    turn: int
    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    model: str


class TurnAnswered(Event):
    """The agent answered. Tokens and cost are those of the calls whose replies stand."""

    NAME = "chat.turn_answered"
    session_id: str
    turn: int
    message_id: str
    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal


FailureCode = Literal["UPSTREAM_ERROR", "PAYLOAD_TOO_LARGE", "BUDGET_EXCEEDED", "SERVICE_UNAVAILABLE", "INTERNAL_ERROR"]


class TurnFailed(Event):
    """There is no answer, and why: a code of the API's list and a sentence."""

    NAME = "chat.turn_failed"
    session_id: str
    turn: int
    message_id: str
    code: FailureCode
    message: str


class SessionSummarised(Event):
    """The turns up to `upto` are remembered as a summary from now on."""

    NAME = "chat.session_summarised"
    session_id: str
    upto: int
    summary_hash: str


EVENTS: tuple[type[Event], ...] = (
    SessionOpened,
    SessionEnded,
    TurnStarted,
    TurnAnswered,
    TurnFailed,
    SessionSummarised,
)

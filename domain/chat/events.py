"""Events of chats."""

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict

from domain.events import Event


class ForkOrigin(BaseModel):
    """The turns up to `upto` that a fork inherits from another session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_id: str
    upto: int


class SessionOpened(Event):
    """A key began to talk with an agent. The session is its tenant's from now on."""

    NAME = "chat.session_opened"
    session_id: str
    agent_id: str
    key_id: str
    workflow_id: str
    user_id: str | None = None
    project_id: str | None = None
    lineage: tuple[ForkOrigin, ...] = ()
    """Of a fork: the sessions of its first turns, oldest first. Its own turns begin after the last `upto`."""


class SessionEnded(Event):
    """The session takes no more messages."""

    NAME = "chat.session_ended"
    session_id: str


class SessionErased(Event):
    """All texts of the session were erased, and it takes no more messages."""

    NAME = "chat.session_erased"
    session_id: str


class TurnStarted(Event):
    """The agent started to work on a message. A failed turn may start again, on the same message."""

    NAME = "chat.turn_started"
    session_id: str
    turn: int
    message_id: str
    message_hash: str
    agent_id: str
    agent_version: int
    model: str


class RequestedTool(BaseModel):
    """A tool that the model requested. `is_valid`: the arguments follow the schema and the tool was offered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool_call_id: str
    name: str
    is_valid: bool


class TurnStepped(Event):
    """The model was called and has not answered: it requested `tools`, or its answer has to be corrected.

    Tokens and cost are this step's.
    """

    NAME = "chat.turn_stepped"
    session_id: str
    turn: int
    message_id: str
    step: int
    reply_hash: str
    tools: tuple[RequestedTool, ...] = ()
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal


class TurnProposed(Event):
    """There is an answer that needs an approval. Tokens and cost are those of the whole turn."""

    NAME = "chat.turn_proposed"
    session_id: str
    turn: int
    message_id: str
    reply_hash: str
    finish: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal


class TurnHeld(Event):
    """The turn waits for an approval of its answer, or of a step; it can be decided from now on."""

    NAME = "chat.turn_held"
    session_id: str
    turn: int
    message_id: str
    approval_id: str


class TurnResumed(Event):
    """The approval is decided and the turn resumed. `refused_tool` is the name of a tool whose call was rejected."""

    NAME = "chat.turn_resumed"
    session_id: str
    turn: int
    message_id: str
    approval_id: str
    refused_tool: str | None = None


class TurnAnswered(Event):
    """The agent answered. Tokens and cost are those of the settled replies of all steps.

    With `approval_id` the answer was held, and `reply_hash` is the approved text. `signature` is a compact JWS.
    """

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
    approval_id: str | None = None
    signature: str | None = None


FailureCode = Literal[
    "UPSTREAM_ERROR",
    "PAYLOAD_TOO_LARGE",
    "BUDGET_EXCEEDED",
    "SERVICE_UNAVAILABLE",
    "INTERNAL_ERROR",
    "REJECTED",  # a person rejected it
    "CANCELLED",  # its run was stopped
    "RUN_LOST",  # its run was lost with the data after a backup; a 503 over HTTP
    "CONFLICT",  # the session takes no such message
    "UNUSABLE_REPLY",  # the model answered in a form that cannot be used; a 502 over HTTP
]


class TurnFailed(Event):
    """The turn has no answer: a code of the API's list, or `REJECTED`, `CANCELLED`, `RUN_LOST`, with a message."""

    NAME = "chat.turn_failed"
    session_id: str
    turn: int
    message_id: str
    code: FailureCode
    message: str


class TurnRated(Event):
    """An answer was rated from 1 to 5. The latest rating of a turn counts."""

    NAME = "chat.turn_rated"
    session_id: str
    turn: int
    agent_id: str
    rating: int
    comment_hash: str | None = None


class SessionSummarised(Event):
    """The turns up to `upto` are replaced by a summary in prompts from now on."""

    NAME = "chat.session_summarised"
    session_id: str
    upto: int
    summary_hash: str


EVENTS: tuple[type[Event], ...] = (
    SessionOpened,
    SessionEnded,
    SessionErased,
    TurnStarted,
    TurnStepped,
    TurnProposed,
    TurnHeld,
    TurnResumed,
    TurnAnswered,
    TurnFailed,
    TurnRated,
    SessionSummarised,
)

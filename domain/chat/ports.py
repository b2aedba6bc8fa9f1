"""What chats need of the outside: a model, a way in, and their views."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from domain.chat.aggregate import Session
from domain.chat.views import SessionRow, TurnRow
from domain.content import Content

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A call that a model asks for. `id` is the provider's; `arguments` is JSON as the model wrote it, good or bad.

    `extra` are other fields that the provider gave it, such as a signature. They go back to it as they came.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt. A `tool` message answers the request of the `assistant` message that has this id.

    `extra` are other fields that the provider gave the message, and wants back.
    """

    role: Role
    text: str
    tool_calls: tuple[ToolRequest, ...] = ()
    tool_call_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool as a model is told of it: `name` is `[A-Za-z0-9_-]{1,64}`, `parameters` a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReplySchema:
    """The JSON Schema that an answer is to follow. `name` is `[A-Za-z0-9_-]{1,64}`."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; `estimated` when it did not say and we counted what arrived."""

    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What is asked of a model. `max_tokens` caps the answer; `request_id` is `call_id.attempt`.

    With `calls_no_tools` the tools are told, since messages speak of them, and none may be called. `longest_s` bounds
    the whole answer (seconds).
    """

    request_id: str
    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    tools: tuple[ToolOffer, ...] = ()
    reply_schema: ReplySchema | None = None
    calls_no_tools: bool = False
    longest_s: float | None = None


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole answer. `provider_call_id` is the provider's own name for the call.

    An answer that asks for tools has the finish `tool_calls`, whatever the provider calls it; `extra` are the other
    fields of its message, which go back to the provider with the results.
    """

    text: str
    finish: Literal["stop", "length", "content_filter", "tool_calls", "other"]
    usage: Usage
    provider_call_id: str | None = None
    model: str | None = None
    tool_calls: tuple[ToolRequest, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


FailureKind = Literal[
    "unreachable",  # no connection: the provider never saw it
    "timeout",  # sent, and no end within the time
    "cut",  # the answer's stream broke off
    "rate_limited",  # 429 that passes
    "unavailable",  # 5xx, 408, 409
    "refused_key",  # 401, 403
    "out_of_quota",  # 429 or 402 that does not pass by itself
    "not_found",  # no such model
    "wrong_path",  # 404 that is not about a model: the base URL is wrong
    "too_long",  # the prompt does not fit the model's window
    "unsupported",  # this model takes no tools, no schema for its answer, or not a parameter of the request
    "bad_request",  # any other 4xx
    "unreadable",  # an answer that is not of the protocol
]


Refusable = Literal["tools", "schema", "schema_with_tools", "parameter"]
"""What a model may not take of a request: tools, a schema (or only beside tools), or another parameter."""


class ModelFailure(Exception):  # noqa: N818  (the name the field uses)
    """A model call that brought no whole answer.

    `charge` is what the provider may bill: `none` (it never worked on it, or said no), `possible` (it may have), or
    `partial` (`usage` holds what arrived, as far as it is known). `permanent` failures are not worth a retry.
    `retry_after` is the provider's own word, in seconds. Of what is `unsupported`, `refuses` names the part; after a
    "parameter", which is named by `parameter`, the next request to this model is made without it.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        charge: Literal["none", "possible", "partial"],
        permanent: bool,
        retry_after: float | None = None,
        usage: Usage | None = None,
        provider_call_id: str | None = None,
        refuses: Refusable | None = None,
        parameter: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.charge = charge
        self.permanent = permanent
        self.retry_after = retry_after
        self.usage = usage
        self.provider_call_id = provider_call_id
        self.refuses = refuses
        self.parameter = parameter

    @property
    def refused(self) -> str | None:
        """The name of what the model did not take: `tools`, `schema`, `schema_with_tools`, or that of a parameter."""
        return (self.parameter or "parameter") if self.refuses == "parameter" else self.refuses


class Model(Protocol):
    """A chat model behind any OpenAI-compatible API."""

    default: str
    """The model that is asked when an agent names none."""

    takes_tools: bool
    """Whether tools may be offered at all. A model that refuses them all the same fails as `unsupported`."""

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Stream the answer, calling `on_delta` with each piece of text.

        Raises:
            ModelFailure: whatever kept a whole answer from coming; nothing is retried here.
        """
        ...

    async def window(self, model: str) -> int:
        """The tokens that prompt and answer may take together. Asked once a process and model."""
        ...

    async def probe(self) -> None:
        """Return when the provider answers; raise `ModelFailure` otherwise. Costs nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Recall:
    """What a prompt is made of: the earlier turns that are remembered, oldest first, and the message to answer.

    `steps` is what has happened since then: requests for tools and their results.
    """

    message: str
    turns: tuple[tuple[str, str], ...] = ()
    summary: str | None = None
    instructions: str = field(default="")
    steps: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """What the ledger tells when somebody comes to speak: the session so far, and the agent as it is deployed.

    `hold` is the risk at which a person has to let this agent's answers go, or None.
    """

    session: Session
    agent_id: str
    agent_version: int
    hold: str | None = None


class Admission(Protocol):
    """The way in."""

    def open(self, *, session_id: str, agent_id: str, key_id: str, message: Content) -> Door:
        """Look up session and agent and store the message, unless this key may not speak here.

        Raises:
            domain.errors.NotFound: the agent is unknown or not deployed, or the session is another key's.
            domain.errors.Conflict: the session is with another agent, or has ended.
        """
        ...


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """A turn with its words; None where they are not there yet, or were erased."""

    row: TurnRow
    message: str | None
    response: str | None


class ChatReads(Protocol):
    """Sessions and turns, as far as the projection has come."""

    def session(self, session_id: str) -> SessionRow | None: ...

    def turns(self, session_id: str, *, skip: int, limit: int) -> list[SpokenTurn]:
        """Turns in order."""
        ...

    def turn_of(self, session_id: str, message_id: str) -> TurnRow | None:
        """The turn of a message, if it has begun."""
        ...

    def overdue_turns(self, before: datetime, limit: int) -> list[TurnRow]:
        """Turns that still run or wait for a person and began before this moment, `limit` of each at most."""
        ...

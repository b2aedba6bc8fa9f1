"""The port of chat models: a request, its answer, and the ways in which a call fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call that a model requests. `id` is the provider's; `arguments` is unvalidated JSON text.

    `extra` are other fields that the provider set, such as a signature. They are sent back unchanged.
    """

    id: str
    name: str
    arguments: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt. A `tool` message answers the request with this id in an `assistant` message.

    `extra` are other fields that the provider gave the message, and wants back.
    """

    role: Role
    text: str
    tool_calls: tuple[ToolRequest, ...] = ()
    tool_call_id: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool as offered to a model: `name` is `[A-Za-z0-9_-]{1,64}`, `parameters` a JSON Schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReplySchema:
    """The JSON Schema that an answer has to follow. `name` is `[A-Za-z0-9_-]{1,64}`."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counts them; `estimated` when it did not say and the received text was counted.

    Those that it read from its cache, and those that it wrote to it, are parts of the prompt's.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0
    estimated: bool = False
    cache_write_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


def ignore_failure(_: "ModelFailure") -> None:
    """Do nothing: the null callback."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A model call. `max_tokens` limits the answer; `request_id` is `call_id.attempt`.

    With `calls_no_tools` the tools are sent, since messages refer to them, and none may be called. `longest_s` limits
    the whole answer (seconds). `on_broken_off` is called with what had arrived if the call is cancelled after its
    answer began.
    """

    request_id: str
    model: str
    messages: tuple[Message, ...] = ()
    max_tokens: int = 0
    temperature: float | None = None
    tools: tuple[ToolOffer, ...] = ()
    reply_schema: ReplySchema | None = None
    calls_no_tools: bool = False
    longest_s: float | None = None
    on_broken_off: "Callable[[ModelFailure], None]" = ignore_failure


@dataclass(frozen=True, slots=True)
class ModelReply:
    """A whole answer. `provider_call_id` is the provider's own id of the call.

    An answer that requests tools has the finish `tool_calls`, whatever the provider calls it; `extra` are the other
    fields of its message, which are sent back to the provider with the results.
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
    "rate_limited",  # a transient 429
    "unavailable",  # 5xx, 408, 409
    "refused_key",  # 401, 403
    "out_of_quota",  # a permanent 429, or 402
    "not_found",  # no such model
    "wrong_path",  # 404 that is not about a model: the base URL is wrong
    "too_long",  # the prompt does not fit the model's window
    "unsupported",  # this model takes no tools, no schema for its answer, or not a parameter of the request
    "bad_request",  # any other 4xx
    "unreadable",  # an answer that violates the protocol
    "cancelled",  # by the platform, after its answer began
]


Refusable = Literal["tools", "schema", "schema_with_tools", "parameter"]
"""Parts of a request that a model may refuse: tools, a schema (or only together with tools), a parameter."""


class ModelFailure(Exception):  # noqa: N818  (the name the field uses)
    """A model call without a whole answer.

    `charge` is what the provider may bill: `none` (it never worked on it, or refused), `possible` (it may have), or
    `partial` (`usage` counts the received part, as far as known). `permanent` failures are not worth a retry.
    `retry_after` is the provider's hint, in seconds. Of `unsupported`, `refuses` names the part; after a "parameter",
    which is named by `parameter`, the next request to this model is made without it.
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
    def refused_part(self) -> str | None:
        """The name of the refused part: `tools`, `schema`, `schema_with_tools`, or that of a parameter."""
        return (self.parameter or "parameter") if self.refuses == "parameter" else self.refuses


class Model(Protocol):
    """A chat model behind any OpenAI-compatible API."""

    default: str
    """The model of agents that name none."""

    takes_tools: bool
    """True if tools may be offered at all. A model that still refuses them fails as `unsupported`."""

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Stream the answer, calling `on_delta` with each piece of text.

        Raises:
            ModelFailure: there is no whole answer, whatever the reason; nothing is retried here.
        """
        ...

    async def window(self, model: str) -> int:
        """Return the tokens that prompt and answer may take together. Looked up once a process and model."""
        ...

    async def probe(self) -> None:
        """Return when the provider answers; raise `ModelFailure` otherwise. Costs nothing."""
        ...

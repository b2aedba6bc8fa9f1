"""What the provider is told to do: rules posted by a test, and directives inside a message."""

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tests.scripted_model.asked import Asked
from tests.scripted_model.directives import CALLS, ToolCall, change, directives, rounds

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one request is answered. The default is a short echo without any delay."""

    delay_s: float = 0.0
    """Silence before the headers."""
    first_token_delay_s: float = 0.0
    """Silence between the headers and the first chunk."""
    inter_chunk_delay_s: float = 0.0
    status: int = 200
    """Any other refuses the request; nothing is billed."""
    error: dict[str, Any] | str | None = None
    """The body of a refusal: the provider's `error` object, or raw text."""
    headers: Headers = field(default_factory=dict)
    text: str | None = None
    """The whole answer, word for word."""
    calls: tuple[ToolCall, ...] = ()
    """Tools that are asked for; a `text` goes along with them."""
    tokens: int | None = None
    """The length of a made answer. One token is four bytes."""
    tokens_per_chunk: int | None = None
    """Unset: three chunks, or four tokens a chunk where chunks are delayed."""
    finish: str = "stop"
    raw: str | None = None
    """The body, word for word, whatever it is; `headers` hold its content type."""
    cached_tokens: int = 0
    empty: bool = False
    no_usage: bool = False
    no_finish: bool = False
    """End the stream in good order but without a finish reason."""
    cut_after_chunks: int | None = None
    """Close the connection after so many pieces of text."""
    hang: bool = False
    """Never answer."""
    hang_after_chunks: int | None = None
    hang_after_finish: bool = False
    """Give the finish reason, then neither usage nor end."""
    garbage: Literal["page", "chunk"] | None = None
    """A web page instead of an answer, or a chunk that is no JSON."""
    error_in_stream: dict[str, Any] | None = None
    """Send this error object after the first piece of text."""
    split_bytes: int | None = None
    """Send the stream in network writes of so many bytes."""
    crlf: bool = False
    """End lines with CRLF and send comments between the events."""

    @property
    def at_once(self) -> bool:
        """Whether the whole answer can go out in one write."""
        return not (
            self.first_token_delay_s
            or self.inter_chunk_delay_s
            or self.split_bytes
            or self.error_in_stream
            or self.garbage
            or self.hang_after_finish
            or self.cut_after_chunks is not None
            or self.hang_after_chunks is not None
        )


@dataclass(slots=True)
class Rule:
    """A behaviour and the requests it is for: all conditions given must hold, `times` says how often (null: always).

    `contains` looks at the last message of the user, `system` at what the agent was told, `wants` for a tool that is
    offered, `shape` at the name of the schema that the answer is to follow, `role` at whose the very last message is.
    A rule with `calls` takes only requests that offer tools, and, without a `role`, none that already brings results.
    """

    behaviour: Behaviour
    contains: str | None = None
    system: str | None = None
    nth: int | None = None
    model: str | None = None
    wants: str | None = None
    shape: str | None = None
    role: str | None = None
    times: int | None = 1

    def takes(self, asked: Asked) -> bool:
        return (
            (self.times is None or self.times > 0)
            and (self.contains is None or self.contains in asked.last)
            and (self.system is None or self.system in asked.system)
            and (self.nth is None or self.nth == asked.nth)
            and (self.model is None or self.model == asked.model)
            and (self.wants is None or self.wants in asked.tools)
            and (self.shape is None or self.shape == asked.shape)
            and (self.role is None or self.role == asked.role)
            and (not self.behaviour.calls or self._may_call(asked))
        )

    def _may_call(self, asked: Asked) -> bool:
        return bool(asked.tools) and (self.role is not None or asked.role != "tool")


RULE_FIELDS = ("contains", "system", "nth", "model", "wants", "shape", "role", "times")
SETTINGS = ("out_of_quota_after", "no_tools", "no_shapes", "embedding_status", "props")
DEFAULT = Behaviour()


def rule_of(fields: dict[str, Any]) -> Rule:
    """Raises TypeError where a field is unknown."""
    conditions = {name: fields[name] for name in RULE_FIELDS if name in fields}
    return Rule(behaviour_of({name: fields[name] for name in fields if name not in conditions}), **conditions)


def behaviour_of(fields: dict[str, Any]) -> Behaviour:
    """`calls` are `{"name": ..., "arguments": ...}`: an object is sent as JSON, a text as it is."""
    calls = tuple(_call(**call) for call in fields.get("calls", ()))
    return Behaviour(**{**fields, "calls": calls})


def _call(name: str, arguments: Any = None) -> ToolCall:
    return ToolCall(name, arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode())


class Script:
    """The rules in order; the first that takes a request decides, then the message's directives, then the default."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.default = DEFAULT
        self.out_of_quota_after: int | None = None
        self.no_tools = False
        self.no_shapes = False
        self.embedding_status = 200
        self.props: dict[str, Any] | None = None
        self.seen: Counter[str] = Counter()

    def load(self, script: dict[str, Any]) -> None:
        """`rules` are added to the queue; all else replaces what was set. Raises TypeError where a field is unknown."""
        if unknown := set(script) - {"rules", "default", *SETTINGS}:
            raise TypeError(f"there is no setting {', '.join(unknown)}")
        self.rules.extend(rule_of(fields) for fields in script.get("rules", ()))
        if "default" in script:
            self.default = behaviour_of(script["default"])
        for name in SETTINGS:
            setattr(self, name, script.get(name, getattr(self, name)))

    def choose(self, asked: Asked) -> tuple[Behaviour, str]:
        """The behaviour for a request, and its last message without directives."""
        if (refusal := self._refusal(asked)) is not None:
            return refusal, asked.last
        for rule in self.rules:
            if rule.takes(asked):
                rule.times = None if rule.times is None else rule.times - 1
                return rule.behaviour, asked.last
        return self._directed(asked) if "[[" in asked.last else (self.default, asked.last)

    def _refusal(self, asked: Asked) -> Behaviour | None:
        if self.out_of_quota_after is not None and asked.nth > self.out_of_quota_after:
            return OUT_OF_QUOTA
        if problem := asked.problem():
            message, param = problem
            return refusing(message, param)
        if self.no_tools and asked.tools:
            return refusing(f"{asked.model} does not support tools", "tools")
        if self.no_shapes and asked.shape:
            return refusing(
                "'response_format' of type 'json_schema' is not supported with this model.", "response_format"
            )
        return None

    def _directed(self, asked: Asked) -> tuple[Behaviour, str]:
        last = asked.last
        self.seen[last] += 1
        words, plain = directives(last)
        changes: dict[str, Any] = {}
        for name, *values in words:
            if name not in {*CALLS, "again"}:
                changes.update(change(name, values, seen=self.seen[last]))
        wanted = rounds(words)
        if asked.tools and asked.rounds < len(wanted):
            changes.update(calls=wanted[asked.rounds], text=None)
        return dataclasses.replace(self.default, **changes), plain


OUT_OF_QUOTA = Behaviour(
    status=429,
    error={"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"},
)


def refusing(message: str, param: str) -> Behaviour:
    return Behaviour(
        status=400, error={"message": message, "type": "invalid_request_error", "param": param, "code": None}
    )

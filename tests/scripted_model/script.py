"""What the provider is told to do: rules posted by a test, and directives inside a message."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

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
    """A behaviour and the requests it is for: all conditions given must hold, `times` says how often (null: always)."""

    behaviour: Behaviour
    contains: str | None = None
    nth: int | None = None
    model: str | None = None
    times: int | None = 1

    def takes(self, *, nth: int, model: str, last: str) -> bool:
        return (
            (self.times is None or self.times > 0)
            and (self.contains is None or self.contains in last)
            and (self.nth is None or self.nth == nth)
            and (self.model is None or self.model == model)
        )


RULE_FIELDS = ("contains", "nth", "model", "times")
DIRECTIVES = re.compile(r"\s*\[\[([^\[\]]*)\]\]\s*")
DEFAULT = Behaviour()


def rule_of(fields: dict[str, Any]) -> Rule:
    """Raises TypeError where a field is unknown."""
    conditions = {name: fields[name] for name in RULE_FIELDS if name in fields}
    return Rule(Behaviour(**{name: fields[name] for name in fields if name not in conditions}), **conditions)


class Script:
    """The rules in order; the first that takes a request decides, then the message's directives, then the default."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.default = DEFAULT
        self.out_of_quota_after: int | None = None
        self.props: dict[str, Any] | None = None
        self.seen: Counter[str] = Counter()

    def load(self, script: dict[str, Any]) -> None:
        """`rules` are added to the queue; `default`, `out_of_quota_after` and `props` replace what was set."""
        self.rules.extend(rule_of(fields) for fields in script.get("rules", ()))
        if "default" in script:
            self.default = Behaviour(**script["default"])
        self.props = script.get("props", self.props)
        if "out_of_quota_after" in script:
            self.out_of_quota_after = script["out_of_quota_after"]

    def choose(self, *, nth: int, model: str, last: str) -> tuple[Behaviour, str]:
        """The behaviour for a request, and its last message without directives."""
        if self.out_of_quota_after is not None and nth > self.out_of_quota_after:
            return OUT_OF_QUOTA, last
        for rule in self.rules:
            if rule.takes(nth=nth, model=model, last=last):
                rule.times = None if rule.times is None else rule.times - 1
                return rule.behaviour, last
        return self._directed(last) if "[[" in last else (self.default, last)

    def _directed(self, last: str) -> tuple[Behaviour, str]:
        self.seen[last] += 1
        words, plain = directives(last)
        changes: dict[str, Any] = {}
        for name, *values in words:
            changes.update(change(name, values, seen=self.seen[last]))
        return dataclasses.replace(self.default, **changes), plain


OUT_OF_QUOTA = Behaviour(
    status=429,
    error={"message": "You exceeded your current quota.", "type": "insufficient_quota", "code": "insufficient_quota"},
)


def directives(text: str) -> tuple[list[list[str]], str]:
    """The directives a message begins or ends with, as words, and the message without them.

    Those in the middle are text: a summary that quotes a message must not do what the message asked for.
    """
    found: list[list[str]] = []
    while match := DIRECTIVES.match(text):
        found.append(match[1].split())
        text = text[match.end() :]
    while text.endswith("]]") and (match := DIRECTIVES.fullmatch(text, max(text.rfind("[["), 0))):
        found.append(match[1].split())
        text = text[: match.start()].rstrip()
    return [words for words in found if words], text


def change(name: str, values: list[str], *, seen: int) -> dict[str, Any]:
    """What one directive changes in the behaviour.

    `[[delay 3]]`, `[[first 0.5]]`, `[[pace 0.1]]` (seconds); `[[tokens 200]]`; `[[empty]]`; `[[nousage]]`;
    `[[fail 500]]`, `[[cut 2]]`, `[[hang]]`, `[[garbage]]`. The last four take a number of times at the end: after so
    many requests with this very message they do nothing, as in `[[fail 503 2]]`, `[[cut 2 1]]`, `[[hang 1]]`.
    """
    if name in SECONDS:
        return {SECONDS[name]: float(values[0])}
    arity = {"fail": 1, "cut": 1}.get(name, 0)
    if name in PASSING and len(values) > arity and seen > int(values[arity]):
        return {}
    return COUNTED[name](values)


SECONDS = {"delay": "delay_s", "first": "first_token_delay_s", "pace": "inter_chunk_delay_s"}
PASSING = ("fail", "cut", "hang", "garbage")
COUNTED: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "tokens": lambda values: {"tokens": int(values[0])},
    "empty": lambda _: {"empty": True},
    "nousage": lambda _: {"no_usage": True},
    "fail": lambda values: {"status": int(values[0])},
    "cut": lambda values: {"cut_after_chunks": int(values[0])},
    "hang": lambda _: {"hang": True},
    "garbage": lambda _: {"garbage": "page"},
}

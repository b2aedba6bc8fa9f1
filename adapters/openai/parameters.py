"""Requests as each model takes them: what one has refused is changed or left out, for a while."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from adapters.openai.error_body import words_in
from adapters.openai.prompts import extras_of, message_of
from domain.chat.model_port import Message, ModelRequest
from domain.chat.policy import REFUSAL_TTL_S

CAPS = ("max_tokens", "max_completion_tokens")
REFUSALS = frozenset({400, 422})
_MOST_MODELS = 1_000
_LEAST_CAP = 16
_DROPPABLE = ("temperature", "stream_options", "stream", "tool_choice")
_TOO_LARGE = re.compile(
    r"too (?:large|high|big)|at most|less than|exceed|maximum|range|between|<=|greater than|should be in|up to|upper"
)
_NUMBER = re.compile(r"(?<![\w.-])\d{2,8}(?![\w-])")
_ROOM = (
    re.compile(r"\(\d{1,8} > (\d{1,8}) - (\d{1,8})\)"),
    re.compile(
        r"context length is (\d{1,8}) tokens.{0,120}?(\d{1,8}) (?:tokens )?(?:in|from|of) the (?:messages|prompt|input)"
    ),
)
_SYSTEM = re.compile(
    r"'system'|\bsystem (?:role|message|prompt|instruction)|role.{0,30}\bsystem\b|developer instruction"
)
_SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True)
class Adaptation:
    """The differences of requests to a model from others. `cap` names the bound of the answer, which is `most`."""

    cap: str | None
    most: int | None = None
    dropped: frozenset[str] = frozenset()
    refused_caps: frozenset[str] = frozenset()
    folds_system: bool = False


class Adaptations:
    """The adaptations of each model, as long as they are believed."""

    def __init__(self, usual: Adaptation, clock: Callable[[], float] = time.monotonic) -> None:
        self._usual = usual
        self._clock = clock
        self._learnt: dict[str, tuple[Adaptation, float]] = {}

    def of(self, model: str) -> Adaptation:
        learnt, until = self._learnt.get(model, (self._usual, 0.0))
        return learnt if self._clock() < until else self._usual

    def learn(self, model: str, adaptation: Adaptation) -> None:
        if len(self._learnt) >= _MOST_MODELS:
            self._learnt.clear()
        self._learnt[model] = adaptation, self._clock() + REFUSAL_TTL_S


def request_body(request: ModelRequest, adaptation: Adaptation) -> dict[str, Any]:
    """The request's body for a model that has refused so much."""
    messages = fold_system(request.messages) if adaptation.folds_system else request.messages
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [_without(message_of(message), adaptation.dropped) for message in messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **extras_of(request),
    }
    if adaptation.cap is not None:
        body[adaptation.cap] = min(request.max_tokens, adaptation.most or request.max_tokens)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if "stream" in adaptation.dropped:
        body["stream_options"] = None
    return {name: value for name, value in body.items() if name not in adaptation.dropped and value is not None}


def fold_system(messages: Iterable[Message]) -> tuple[Message, ...]:
    """The same messages without the role of the system: its text stands before the user's."""
    kept = [message for message in messages if message.role != "system"]
    system = _SEPARATOR.join(message.text for message in messages if message.role == "system")
    first = next((n for n, message in enumerate(kept) if message.role == "user"), None)
    if first is None or not system:
        return tuple(kept)
    kept[first] = replace(kept[first], text=f"{system}{_SEPARATOR}{kept[first].text}")
    return tuple(kept)


def _without(message: dict[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in dropped} if dropped else message


def adapt(error: Mapping[str, Any], body: Mapping[str, Any], adaptation: Adaptation) -> Adaptation | None:
    """The adaptation after this refusal of a request; None where it names nothing that could be changed."""
    said = words_in(error)
    named = str(error.get("param") or "").lower()
    if adaptation.cap in body and (lower := _lower_cap(said, body, adaptation)):
        return lower
    if adaptation.cap in body and (named == adaptation.cap or _names(said, adaptation.cap)):
        return _another_cap(adaptation)
    for name in (*_DROPPABLE, *sorted(_fields_of_messages(body))):
        if (name in body or name not in _DROPPABLE) and (named == name or _names(said, name)):
            return replace(adaptation, dropped=adaptation.dropped | {name})
    has_system = any(message["role"] == "system" for message in body["messages"])
    if has_system and not adaptation.folds_system and _SYSTEM.search(said):
        return replace(adaptation, folds_system=True)
    return None


def refused_parameter(before: Adaptation, after: Adaptation) -> str:
    """The name of the parameter whose refusal led from one to the other."""
    dropped = after.dropped - before.dropped
    if dropped:
        return min(dropped)
    return "system" if after.folds_system and not before.folds_system else before.cap or CAPS[0]


def _names(said: str, name: str | None) -> bool:
    return name is not None and re.search(rf"\b{re.escape(name.lower())}\b", said) is not None


def _lower_cap(said: str, body: Mapping[str, Any], adaptation: Adaptation) -> Adaptation | None:
    """A lower bound of the answer, where the provider says how many tokens it may have."""
    sent: int = body[adaptation.cap or ""]
    for room in _ROOM:
        if (found := room.search(said)) and _LEAST_CAP <= (left := int(found[1]) - int(found[2])) < sent:
            return replace(adaptation, most=left)
    is_about = any(_names(said, name) for name in CAPS) or re.search(r"(?:completion|output) tokens", said)
    if not is_about or not _TOO_LARGE.search(said):
        return None
    offered = [int(number) for number in _NUMBER.findall(said) if _LEAST_CAP <= int(number) < sent]
    return replace(adaptation, most=max(offered)) if offered else None


def _another_cap(adaptation: Adaptation) -> Adaptation:
    """The bound under its other name; under none, when both were refused."""
    refused = adaptation.refused_caps | {adaptation.cap or ""}
    other = next((name for name in CAPS if name not in refused), None)
    return replace(adaptation, cap=other, refused_caps=refused)


def _fields_of_messages(body: Mapping[str, Any]) -> set[str]:
    """Fields of messages that providers gave them: another provider may stand behind the same name by now."""
    ours = {"role", "content", "tool_calls", "tool_call_id"}
    return {name for message in body["messages"] for name in message if name not in ours}

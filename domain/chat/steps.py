"""Steps of a turn before its answer: the model asked for tools, or has to put its answer right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import orjson

from domain.chat.ports import Message, ToolRequest
from domain.message_parts import shared

MOST_STEPS = 10
"""Calls of the model in one turn. At the last one no tool may be called, so that it has to answer."""

MOST_WRONG = 2
"""How often in a turn the model may be told that its calls or its answer cannot be used."""

NOTHING: Mapping[str, Any] = MappingProxyType({})

UNUSABLE = "the model's replies could not be used"
"""How the failure of a turn begins whose model was told that more often."""

MOST_TOOLS = 16
"""Tools that one reply may ask for; the rest are answered with an error."""


@dataclass(frozen=True, slots=True)
class Step:
    """A reply that did not end the turn, and what the model is told about it.

    `replied` is what was stored of it. With `asks` it is what `stored` gives, and `results` answer its requests in
    their order; else it was an answer that cannot be used, and the one result says why.
    """

    replied: str
    results: tuple[str, ...]
    asks: bool = True


def stored(text: str, requests: Sequence[ToolRequest], extra: Mapping[str, Any] = NOTHING) -> str:
    """A reply that asks for tools, as one text: JSON with `text`, `tool_calls`, and `extra` where there is any."""
    reply: dict[str, Any] = {"text": text, "tool_calls": [_call(request) for request in requests]}
    return orjson.dumps({**reply, "extra": extra} if extra else reply).decode()


def _call(request: ToolRequest) -> dict[str, Any]:
    call: dict[str, Any] = {"id": request.id, "name": request.name, "arguments": request.arguments}
    return {**call, "extra": request.extra} if request.extra else call


def asked(replied: str) -> tuple[str, tuple[ToolRequest, ...]]:
    """The text and the requests of such a reply."""
    value = orjson.loads(replied)
    return value["text"], tuple(ToolRequest(**call) for call in value["tool_calls"])


def _extra(replied: str) -> Mapping[str, Any]:
    """The other fields of the provider's message, which it wants back."""
    extra: Mapping[str, Any] = orjson.loads(replied).get("extra", NOTHING)
    return extra


def messages(steps: Sequence[Step], *, most: int) -> tuple[Message, ...]:
    """What a prompt holds of the steps; results too long in sum are cut to equal shares of `most` characters."""
    results = iter(shared([result for step in steps for result in step.results], most))
    return tuple(message for step in steps for message in _of(step, [next(results) for _ in step.results]))


def _of(step: Step, results: Sequence[str]) -> list[Message]:
    if not step.asks:
        return [Message("assistant", step.replied), Message("user", results[0])]
    text, asked_for = asked(step.replied)
    requests = _told_apart(asked_for)
    answers = [
        Message("tool", result, tool_call_id=request.id) for request, result in zip(requests, results, strict=True)
    ]
    return [Message("assistant", text, tool_calls=requests, extra=_extra(step.replied)), *answers]


def _told_apart(requests: Sequence[ToolRequest]) -> tuple[ToolRequest, ...]:
    """Some providers give several requests the same id, and take none back that do not differ."""
    ids = [request.id for request in requests]
    return tuple(
        request if ids.count(request.id) == 1 else replace(request, id=f"{request.id}_{index}")
        for index, request in enumerate(requests)
    )

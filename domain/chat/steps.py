"""Steps of a turn before its answer: the model requested tools, or has to correct its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import orjson

from domain.chat.model_port import Message, ToolRequest
from domain.message_parts import cut_to_shares

MOST_STEPS = 10
"""Limit on the model calls of a turn. In the last one no tool may be called, so that it has to answer."""

MOST_CORRECTIONS = 2
"""Limit on the corrections of a turn: replies whose tool calls or answer are unusable."""

NO_FIELDS: Mapping[str, Any] = MappingProxyType({})

UNUSABLE = "the model's replies could not be used"
"""The beginning of the failure message of a turn that exceeds this limit."""

MOST_TOOLS = 16
"""Limit on the tool requests of one reply; further ones are answered with an error."""


@dataclass(frozen=True, slots=True)
class TurnStep:
    """A reply that did not end the turn, and the results that the model receives for it.

    `replied` is the stored reply. With `asks` it has the form of `stored`, and `results` answer its requests in their
    order; else it was an unusable answer, and the one result says why.
    """

    replied: str
    results: tuple[str, ...]
    asks: bool = True


def encode_tool_reply(text: str, requests: Sequence[ToolRequest], extra: Mapping[str, Any] = NO_FIELDS) -> str:
    """Encode a reply with tool requests: JSON with `text`, `tool_calls`, and `extra` where there is any."""
    reply: dict[str, Any] = {"text": text, "tool_calls": [_call(request) for request in requests]}
    return orjson.dumps({**reply, "extra": extra} if extra else reply).decode()


def _call(request: ToolRequest) -> dict[str, Any]:
    call: dict[str, Any] = {"id": request.id, "name": request.name, "arguments": request.arguments}
    return {**call, "extra": request.extra} if request.extra else call


def decode_tool_reply(replied: str) -> tuple[str, tuple[ToolRequest, ...]]:
    """Return the text and the requests of an encoded reply."""
    value = orjson.loads(replied)
    return value["text"], tuple(ToolRequest(**call) for call in value["tool_calls"])


def _extra(replied: str) -> Mapping[str, Any]:
    """Return the other fields of the provider's message, which are sent back to it."""
    extra: Mapping[str, Any] = orjson.loads(replied).get("extra", NO_FIELDS)
    return extra


def messages(steps: Sequence[TurnStep], *, most: int) -> tuple[Message, ...]:
    """Return the steps as messages; results too long in sum are cut to equal shares of `most` characters."""
    results = iter(cut_to_shares([result for step in steps for result in step.results], most))
    return tuple(message for step in steps for message in _of(step, [next(results) for _ in step.results]))


def _of(step: TurnStep, results: Sequence[str]) -> list[Message]:
    if not step.asks:
        return [Message("assistant", step.replied), Message("user", results[0])]
    text, asked_for = decode_tool_reply(step.replied)
    requests = _with_unique_ids(asked_for)
    answers = [
        Message("tool", result, tool_call_id=request.id) for request, result in zip(requests, results, strict=True)
    ]
    return [Message("assistant", text, tool_calls=requests, extra=_extra(step.replied)), *answers]


def _with_unique_ids(requests: Sequence[ToolRequest]) -> tuple[ToolRequest, ...]:
    """Make request ids unique: some providers repeat an id, and reject it when it comes back twice."""
    ids = [request.id for request in requests]
    return tuple(
        request if ids.count(request.id) == 1 else replace(request, id=f"{request.id}_{index}")
        for index, request in enumerate(requests)
    )

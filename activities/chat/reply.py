"""Parses a model's reply: an answer, tool requests, or an answer with a problem the model has to correct."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from json import JSONDecoder
from typing import Any

import orjson

from activities.chat.answer_shapes import SHAPES
from domain.answer_shape import AnswerShape
from domain.chat.model_port import ReplySchema, ToolOffer, ToolRequest
from domain.chat.steps import MOST_TOOLS, decode_tool_reply
from domain.errors import Invalid
from domain.ids import derived_id
from domain.json_schema.validation import UnusableSchema, violations
from domain.tools.arguments import argument_problem
from domain.tools.spec import ToolSpec

_FENCE = "```"
_THOUGHT_ENDS = ("</think>", "</thinking>", "</thought>", "</reasoning>", "◁/think▷", "<|/think|>", "[/THINK]")
_MOST_LOOKS = 16
"""Limit on the places of an answer that are tried as its JSON."""
_DECODER = JSONDecoder()


@dataclass(frozen=True, slots=True)
class ReplyConstraints:
    """The constraints of a reply: the offered tools, and the shape of an answer.

    With `calls_no_tools` the offers are sent only because earlier steps refer to them.
    """

    specs: tuple[ToolSpec, ...] = ()
    offers: tuple[ToolOffer, ...] = ()
    shape: AnswerShape | None = None
    options: tuple[str, ...] = ()
    calls_no_tools: bool = False

    @property
    def reply_schema(self) -> ReplySchema | None:
        """The schema in the form the model receives."""
        if self.shape is None:
            return None
        return ReplySchema(self.shape.name.replace(".", "_"), self.shape.schema(self.options))


@dataclass(frozen=True, slots=True)
class CheckedToolRequest:
    """A tool request of the model; `spec` is the tool's, `problem` the reason it cannot be carried out."""

    tool_call_id: str
    request: ToolRequest
    spec: ToolSpec | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """An answer that names ids, unless it has tool requests (`asks`) or a `problem`."""

    asks: tuple[CheckedToolRequest, ...] = ()
    problem: str | None = None
    named: tuple[str, ...] = ()

    @property
    def is_answer(self) -> bool:
        return not self.asks and self.problem is None


PLAIN_ANSWER = ParsedReply()


def shape_of(name: str | None) -> AnswerShape | None:
    """Return the shape of this name.

    Raises:
        Invalid: there is none.
    """
    if name is None:
        return None
    if name not in SHAPES:
        raise Invalid(f"there is no shape {name}")
    return SHAPES[name]


def extract_json(text: str, wanted: ReplyConstraints) -> str:
    """Extract the JSON of a shaped answer: without thoughts, code fences, and sentences before and after it."""
    if wanted.shape is None or _parse_json(text) is not None:
        return text
    said, shape, options = _strip_thoughts(text), wanted.shape, wanted.options
    places = (said, *_fenced_blocks(said), _outermost_object(said))
    whole = [place.strip() for place in places if isinstance(_parse_json(place), dict | list)]
    # An object inside an answer that breaks off is no answer, unless it has the requested shape.
    fitting = (each for each in (*whole, *_objects(said)) if not _problem(_parse_json(each), shape, options))
    return next(fitting, whole[0] if whole else text)


def _strip_thoughts(text: str) -> str:
    """Return the text after the model's thoughts; all of it where they have no end."""
    ends = [place + len(end) for end in _THOUGHT_ENDS if (place := text.rfind(end)) >= 0]
    return text[max(ends) :] if ends else text


def _fenced_blocks(text: str) -> list[str]:
    """Return the contents of code fences, without the name of the language."""
    inside = text.split(_FENCE)[1 : 2 * _MOST_LOOKS : 2]
    return [part.partition("\n")[2] if part[:1].isalpha() and "\n" in part else part for part in inside]


def _outermost_object(text: str) -> str:
    """Return the object that starts at the first brace; empty where it has no end."""
    place = max(text.find("{"), 0)
    return next((each for each in _objects(text) if text.startswith(each, place)), "")


def _objects(text: str) -> Iterator[str]:
    """Yield the JSON objects that a text contains."""
    place = text.find("{")
    for _ in range(_MOST_LOOKS):
        if place < 0:
            return
        try:
            _, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            yield text[place:end]
        place = text.find("{", end)


def parse_reply(text: str, finish: str, wanted: ReplyConstraints, call_id: str) -> ParsedReply:
    """Parse a stored reply. `call_id` names the model call that produced it."""
    if finish == "tool_calls":
        _, requests = decode_tool_reply(text)
        return ParsedReply(
            asks=tuple(_check_request(request, n, wanted, call_id) for n, request in enumerate(requests))
        )
    if wanted.shape is None:
        return PLAIN_ANSWER
    value = _parse_json(text)
    problem = _problem(value, wanted.shape, wanted.options)
    if problem and finish == "length":
        problem = f"The answer was cut at the most tokens it may have: say it in fewer words. {problem}"
    return ParsedReply(problem=problem) if problem else ParsedReply(named=tuple(wanted.shape.named(value)))


def tool_call_id(call_id: str, index: int) -> str:
    """Return the id of tool request `index` (from 0) of the reply to a model call."""
    return derived_id("tool", call_id, index)


def _check_request(request: ToolRequest, index: int, wanted: ReplyConstraints, call_id: str) -> CheckedToolRequest:
    spec = next((spec for spec in wanted.specs if spec.name == request.name), None)
    if index >= MOST_TOOLS:
        problem: str | None = f"at most {MOST_TOOLS} tools can be called at once; ask again for the rest"
    elif spec is None:
        names = ", ".join(spec.name for spec in wanted.specs) or "none"
        problem = f"there is no tool {request.name[:80]!r} here; the tools are: {names}"
    else:
        problem = argument_problem(spec, request.arguments)
    return CheckedToolRequest(tool_call_id(call_id, index), request, spec, problem)


def _parse_json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _problem(value: Any, shape: AnswerShape, options: Sequence[str]) -> str | None:
    if value is None:
        return "This is not JSON. Answer again with one JSON object that follows the schema, and nothing else."
    try:
        told = [str(flaw) for flaw in violations(shape.schema(options), value, most=5)]
    except UnusableSchema as error:
        told = [f"the schema itself cannot be used ({error})"]
    if not told and (problem := shape.problem(value, options)):
        told = [problem]
    if not told:
        return None
    return (
        "The answer cannot be used: " + "; ".join(told) + ". Answer again with one JSON object that follows the schema."
    )

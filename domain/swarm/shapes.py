"""Shapes of the answers that plans have to parse."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.answer_shape import AnswerShape
from domain.swarm.spoken import ANSWER

FINISH = "finish"
"""The name that ends a handoff instead of the next member's."""
LEAST_OPTIONS, MOST_OPTIONS = 2, 8
_TEXT = {"type": "string", "minLength": 1}


def _object(**properties: Any) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(options: Sequence[str]) -> Mapping[str, Any]:
    return {"type": "string", "enum": list(options)}


def _split(options: Sequence[str]) -> Mapping[str, Any]:
    part = _object(member=_one_of(options), task=_TEXT)
    return _object(parts={"type": "array", "minItems": 1, "maxItems": len(options), "items": part})


def _duplicate_problem(value: Any, _: Sequence[str]) -> str | None:
    members = [part["member"] for part in value["parts"]]
    twice = sorted({member for member in members if members.count(member) > 1})
    return f"{', '.join(twice)}: a member gets one part at most" if twice else None


def _options_schema(_: Sequence[str]) -> Mapping[str, Any]:
    return _object(options={"type": "array", "minItems": LEAST_OPTIONS, "maxItems": MOST_OPTIONS, "items": _TEXT})


SPLIT = AnswerShape(
    "swarm_split", _split, lambda value: [part["member"] for part in value["parts"]], _duplicate_problem
)
"""The parts of a task and their members. Names these members, in the order of the parts."""

LIST = AnswerShape(
    "swarm_options", _options_schema, lambda value: [f"option_{n}" for n in range(1, len(value["options"]) + 1)]
)
"""The options of a vote. Names them by their places: `option_1`, `option_2`, …"""

BALLOT = AnswerShape(
    "swarm_ballot", lambda options: _object(reason=_TEXT, option=_one_of(options)), lambda value: [value["option"]]
)
"""A vote and its reason. Names the option."""

HANDOFF = AnswerShape(
    "swarm_handoff", lambda options: _object(**{ANSWER[0]: _TEXT, "next": _one_of(options)}), lambda v: [v["next"]]
)
"""A handoff. Names the member that continues, or `finish`."""

SHAPES = (SPLIT, LIST, BALLOT, HANDOFF)

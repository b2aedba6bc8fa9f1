"""The shapes of Ali's answers."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from domain.ali.team import LEAST_MEMBERS, MODES, MOST_MEMBERS
from domain.answer_shape import AnswerShape

MOST_ACTIONS = 8


def team_shape(most: int) -> str:
    """Return the name of the shape of a team of at most `most` members."""
    return f"ali.team.{most}"


def _object(**properties: Any) -> Mapping[str, Any]:
    """Build an object schema. All properties are required; an absent value is null, as strict providers demand."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of_or_null(options: Sequence[str]) -> Mapping[str, Any]:
    return {"type": ["string", "null"], "enum": [*options, None]}


def _team(options: Sequence[str], most: int) -> Mapping[str, Any]:
    members = {"type": "string", "enum": list(options)}
    return _object(
        members={"type": "array", "minItems": LEAST_MEMBERS, "maxItems": most, "items": members},
        mode={"type": "string", "enum": list(MODES)},
        coordinator=_one_of_or_null(options),
        rationale={"type": "string"},
    )


def _team_problem(value: Any, _: Sequence[str]) -> str | None:
    members = value["members"]
    if twice := sorted({member for member in members if members.count(member) > 1}):
        return f"members: {', '.join(twice)}: named twice"
    if value["coordinator"] in members:
        return f"coordinator: {value['coordinator']} is a member; name somebody else, or null"
    return None if value["rationale"].strip() else "rationale: say why these members and this mode"


def _answer(options: Sequence[str]) -> Mapping[str, Any]:
    action = _object(title={"type": "string"}, why={"type": "string"}, agent_id=_one_of_or_null(options))
    return _object(
        answer={"type": "string"},
        suggested_actions={"type": "array", "maxItems": MOST_ACTIONS, "items": action},
    )


def _answer_problem(value: Any, _: Sequence[str]) -> str | None:
    if not value["answer"].strip():
        return "answer: it is empty"
    untitled = any(not action["title"].strip() for action in value["suggested_actions"])
    return "suggested_actions: an action needs a title" if untitled else None


def _agents_of(value: Any) -> list[str]:
    """Return the agents that the actions name, each once."""
    return list(dict.fromkeys(action["agent_id"] for action in value["suggested_actions"] if action["agent_id"]))


ALI_ANSWER = AnswerShape("ali.answer", _answer, _agents_of, _answer_problem, takes_text=True)
"""An answer to a question, with suggested actions. The options are the agents that could carry them out."""

TEAMS = tuple(
    AnswerShape(team_shape(most), partial(_team, most=most), lambda value: list(value["members"]), _team_problem)
    for most in range(LEAST_MEMBERS, MOST_MEMBERS + 1)
)
"""A team, one shape for each size that can be requested. The options are the agents to choose from."""

SHAPES = (ALI_ANSWER, *TEAMS)

"""Checks the arguments that a model wrote for a tool."""

from typing import Any

import orjson

from domain.json_schema.validation import UnusableSchema, unusable_reason, violations
from domain.tools.spec import ToolSpec

MOST_CHARACTERS = 100_000
"""Limit on the arguments of one call, in characters."""

_DEEPEST = 32
_MOST_PROBLEMS = 5


def argument_problem(spec: ToolSpec, arguments_text: str) -> str | None:
    """Return the problem of the arguments, in sentences that tell the model the correction; None without one."""
    if len(arguments_text) > MOST_CHARACTERS:
        return _retry_message(spec, f"they have more than {MOST_CHARACTERS:,} characters")
    try:
        value = _read(arguments_text)
    except orjson.JSONDecodeError as error:
        return _retry_message(spec, f"they are not JSON ({error})")
    if not isinstance(value, dict):
        return _retry_message(spec, "they are not a JSON object")
    if flaw := _value_problem(value, 1):
        return _retry_message(spec, flaw)
    try:
        found = violations(spec.parameters, value, most=_MOST_PROBLEMS, older=True)
    except UnusableSchema as error:
        return f"{spec.name} cannot be called: its own schema cannot be used ({error})."
    return _retry_message(spec, "; ".join(map(str, found))) if found else None


def parse_arguments(arguments_text: str) -> dict[str, Any]:
    """Parse arguments in which `problem_with` has found no problem."""
    value: dict[str, Any] = _read(arguments_text)
    return value


def schema_problem(spec: ToolSpec) -> str | None:
    """Return the reason a tool's own schema cannot be used, or None."""
    if spec.parameters.get("type") != "object":
        return "it is not of the type object"
    return unusable_reason(spec.parameters, older=True)


def _read(text: str) -> Any:
    return orjson.loads(text) if text.strip() else {}  # models write an empty text for no arguments


def _retry_message(spec: ToolSpec, problem: str) -> str:
    return (
        f"{spec.name} was not called, because its arguments cannot be used: {problem}. Call it again with better ones."
    )


def _value_problem(value: Any, depth: int) -> str | None:
    if depth > _DEEPEST:
        return f"they are nested more than {_DEEPEST} deep"
    if isinstance(value, str):
        return "a text contains the character U+0000" if "\x00" in value else None
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return next((flaw for item in value if (flaw := _value_problem(item, depth + 1))), None)
    return None

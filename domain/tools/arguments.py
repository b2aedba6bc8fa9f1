"""Whether the arguments that a model wrote can be given to a tool."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable

from domain.tools.spec import ToolSpec

MOST_CHARACTERS = 100_000
"""Of the arguments of one call."""

_DEEPEST = 32
_MOST_PROBLEMS = 5
_LONGEST_PROBLEM = 300


def problem_with(spec: ToolSpec, arguments_text: str) -> str | None:
    """What is wrong with the arguments, in sentences that tell the model what to do; None if nothing is."""
    if len(arguments_text) > MOST_CHARACTERS:
        return _again(spec, f"they have more than {MOST_CHARACTERS:,} characters")
    try:
        value = _read(arguments_text)
    except orjson.JSONDecodeError as error:
        return _again(spec, f"they are not JSON ({error})")
    if not isinstance(value, dict):
        return _again(spec, "they are not a JSON object")
    if flaw := _flaw(value, 1):
        return _again(spec, flaw)
    try:
        found = list(islice(_validator(_canonical(spec)).iter_errors(value), _MOST_PROBLEMS))
    except Unresolvable:
        return f"{spec.name} cannot be called: its own schema points at something that is not there."
    return _again(spec, "; ".join(map(_sentence, found))) if found else None


def parsed(arguments_text: str) -> dict[str, Any]:
    """The arguments, once `problem_with` has found nothing wrong with them."""
    value: dict[str, Any] = _read(arguments_text)
    return value


def problem_with_schema(spec: ToolSpec) -> str | None:
    """Why a tool's own schema cannot be used, or None."""
    if spec.parameters.get("type") != "object":
        return "it is not of the type object"
    try:
        validator_for(spec.parameters, default=Draft202012Validator).check_schema(spec.parameters)
    except SchemaError as error:
        return str(error.message)[:_LONGEST_PROBLEM]
    outside = next(_references_outside(spec.parameters), None)
    return f"it refers to {outside[:_LONGEST_PROBLEM]}, which is not part of it" if outside else None


def _read(text: str) -> Any:
    return orjson.loads(text) if text.strip() else {}  # models write nothing where there is nothing to say


def _again(spec: ToolSpec, problem: str) -> str:
    return (
        f"{spec.name} was not called, because its arguments cannot be used: {problem}. Call it again with better ones."
    )


def _flaw(value: Any, depth: int) -> str | None:
    if depth > _DEEPEST:
        return f"they are nested more than {_DEEPEST} deep"
    if isinstance(value, str):
        return "a text holds the character U+0000" if "\x00" in value else None
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        return next((flaw for item in value if (flaw := _flaw(item, depth + 1))), None)
    return None


def _canonical(spec: ToolSpec) -> bytes:
    return orjson.dumps(dict(spec.parameters), option=orjson.OPT_SORT_KEYS)


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> Any:
    # With a registry of its own the validator fetches nothing: the default one would follow a `$ref` to any URL.
    read = orjson.loads(schema)
    return validator_for(read, default=Draft202012Validator)(read, registry=Registry())


def _sentence(error: ValidationError) -> str:
    place = error.json_path.removeprefix("$").lstrip(".")
    words = str(error.message)
    words = words if len(words) <= _LONGEST_PROBLEM else words[:_LONGEST_PROBLEM] + "…"
    return f"{place}: {words}" if place else words


def _references_outside(schema: Any) -> Iterator[str]:
    items = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for key, value in items:
        if key in {"$ref", "$dynamicRef"} and isinstance(value, str) and not value.startswith("#"):
            yield value
        yield from _references_outside(value)

"""Validation of an execution's input."""

from collections.abc import Iterable, Mapping
from typing import Any

from activities.graphflow.expression_data import with_defaults
from domain.errors import Invalid
from domain.json_schema.validation import SchemaViolation, UnusableSchema, violations

_MAX_ERRORS = 50


def require_valid_input(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Return if the input follows the workflow's schema; properties with a default may be left out.

    Raises:
        Invalid: it does not; `errors` are {field, reason} of all problems, up to 50.
    """
    try:
        found = violations(schema, with_defaults(schema, dict(given)), most=_MAX_ERRORS)
    except UnusableSchema as error:
        reason = f"the workflow's own schema is unusable: {error}"
        raise _invalid([{"field": "input", "reason": reason}]) from error
    if found:
        raise _invalid(_to_errors(found))


def _to_errors(found: Iterable[SchemaViolation]) -> list[dict[str, str]]:
    return [{"field": ".".join(["input", *map(str, flaw.place)]), "reason": flaw.message} for flaw in found]


def _invalid(errors: list[dict[str, str]]) -> Invalid:
    first = errors[0]
    return Invalid(f"{first['field']}: {first['reason']}", **first, errors=errors)

"""Whether a workflow takes an input."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from activities.graphflow.scope import with_defaults
from domain.errors import Invalid

_MOST = 50
_LONGEST = 300


def refuse_unfit(schema: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Return if the input follows the workflow's schema; what its schema gives a default for may be left out.

    Raises:
        Invalid: it does not; `errors` are {field, reason}: all that is wrong, up to 50.
    """
    # With a registry of its own the validator fetches nothing: the default one would follow a `$ref` to any URL.
    validator = Draft202012Validator(schema, registry=Registry())
    try:
        found = list(islice(validator.iter_errors(with_defaults(schema, dict(given))), _MOST))
    except (Unresolvable, RecursionError) as error:
        raise _invalid([{"field": "input", "reason": "the workflow's own schema cannot be followed"}]) from error
    if found:
        raise _invalid(_told(found))


def _told(found: Iterable[ValidationError]) -> list[dict[str, str]]:
    return [{"field": _field(error), "reason": str(error.message)[:_LONGEST]} for error in found]


def _field(error: ValidationError) -> str:
    return ".".join(["input", *(str(part) for part in error.absolute_path)])


def _invalid(errors: list[dict[str, str]]) -> Invalid:
    first = errors[0]
    return Invalid(f"{first['field']}: {first['reason']}", **first, errors=errors)

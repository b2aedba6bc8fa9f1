"""JSON Schemas from outside, and values that have to follow them. Nothing is fetched, and all work is bounded.

**Dialect.** A schema is of the dialect JSON Schema 2020-12. A tool server's schema may declare an older one in
`$schema` (draft 4, 6, 7, 2019-09), and is interpreted so.

**Patterns** are matched without backtracking, so that the time is proportional to the text; those with look-arounds or
back-references by a matcher that gives up after a fixed number of steps.

**Bounds.** Work that is certainly small is done at once, all other in a process that can be killed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

import jsonschema_rs as rust
import orjson

from domain.json_schema import effort as schema_effort
from domain.json_schema.depth import DEEPEST, is_too_deep
from domain.separate_process import WorkLimitExceeded, run_in_process

T = TypeVar("T")

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OLDER: Mapping[str, type[Any]] = {
    "http://json-schema.org/draft-04/schema": rust.Draft4Validator,
    "http://json-schema.org/draft-06/schema": rust.Draft6Validator,
    "http://json-schema.org/draft-07/schema": rust.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": rust.Draft201909Validator,
}
_MOST_STEPS = 100_000
_LARGEST_PATTERN = 2**24
"""Limit on a compiled pattern, in bytes: eighty letters of any script (`\\p{L}{1,80}`) are four million."""
_LARGEST = 100_000
"""Limit on a schema, in characters."""
_SMALL = 4_000
"""Characters, and units of work: less than half a MiB once it is compiled."""
_DEEPEST = 100
_MOST_LOOKED_AT = 200
_LONGEST = 300
"""Limit on one message, in characters."""


@dataclass(frozen=True, slots=True)
class SchemaViolation:
    """A violation of a schema, with its place. `keyword` is the schema's; `message` may quote the value."""

    place: tuple[str | int, ...]
    keyword: str
    message: str

    @property
    def path(self) -> str:
        """The place, as in `customer.names[2]`; empty for the whole value."""
        parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.place)
        return "".join(parts).removeprefix(".")

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.place else self.message


class UnusableSchema(Exception):  # noqa: N818  (a result about a schema, not a fault)
    """A schema that cannot be used for validation. Its text says why."""


def unusable_reason(schema: Any, *, older: bool = False) -> str | None:
    """Return the reason a schema cannot be used; None if it can. `older` allows older dialects."""
    if not isinstance(schema, Mapping | bool):
        return "it is neither an object nor true or false"
    if is_too_deep(schema, _DEEPEST):
        return f"it is nested more than {_DEEPEST} deep"
    try:
        text = _encode(schema)
    except ValueError as error:
        return str(error)
    if len(text) > _LARGEST:
        return f"it has more than {_LARGEST:,} characters"
    try:
        size = schema_effort.schema_work(schema)
        _run(_prepare, size, text, older, size)
    except (UnusableSchema, WorkLimitExceeded) as error:
        return str(error)
    return None


def violations(schema: Any, value: Any, *, most: int, older: bool = False) -> tuple[SchemaViolation, ...]:
    """Return the violations of a schema by a value, `most` at most.

    Raises:
        UnusableSchema: the schema cannot be used, or validating this value takes too much work.
    """
    if is_too_deep(value):
        return (SchemaViolation((), "depth", f"it is nested more than {DEEPEST} deep"),)
    if is_too_deep(schema, _DEEPEST):
        raise UnusableSchema(f"it is nested more than {_DEEPEST} deep")
    try:
        text, given = _encode(schema), _encode(value)
    except ValueError as error:
        return (SchemaViolation((), "json", str(error)),)
    try:
        size = schema_effort.schema_work(schema)
        if max(size, schema_effort.value_work(schema, value)) <= schema_effort.FEW_UNITS and _is_valid(
            text, older, size, given
        ):
            return ()
        return _run(
            _violations, max(size, schema_effort.violations_work(schema, value)), text, older, size, given, most
        )
    except WorkLimitExceeded as error:
        raise UnusableSchema(str(error)) from error


def _run(work: Callable[..., T], units: int, *given: object) -> T:
    return work(*given) if units <= schema_effort.FEW_UNITS else run_in_process(work, *given)


def _encode(value: Any) -> bytes:
    """Encode as JSON.

    Raises:
        ValueError: it cannot be encoded.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise ValueError(f"it cannot be written as JSON ({error})") from None


def _is_valid(schema: bytes, older: bool, size: int, value: bytes) -> bool:  # noqa: FBT001  (as for `_violations`)
    return bool(_validator(schema, older, size).is_valid(orjson.loads(value)))


def _violations(schema: bytes, older: bool, size: int, value: bytes, most: int) -> tuple[SchemaViolation, ...]:  # noqa: FBT001  (pickled by place)
    validator, given = _validator(schema, older, size), orjson.loads(value)
    if validator.is_valid(given):
        return ()
    errors = islice(validator.iter_errors(given), _MOST_LOOKED_AT)
    found = [SchemaViolation(tuple(error.instance_path), error.kind.name, _sentence(error)) for error in errors]
    return tuple(sorted(found, key=lambda flaw: [str(part) for part in flaw.place]))[:most]


def _prepare(schema: bytes, older: bool, size: int) -> None:  # noqa: FBT001  (pickled by place)
    _validator(schema, older, size)


def _validator(text: bytes, older: bool, size: int) -> Any:  # noqa: FBT001  (as above)
    """Return the validator of this schema, from caches whose memory is bounded.

    Large ones are built in the separate process, and each time anew: cached, they would leave the next one too little
    memory there.
    """
    if size > schema_effort.FEW_UNITS:
        return _build_validator(text, older)
    return _small_validator(text, older) if max(len(text), size) <= _SMALL else _medium_validator(text, older)


@lru_cache(maxsize=256)
def _small_validator(text: bytes, older: bool) -> Any:  # noqa: FBT001  (a key of the cache)
    return _build_validator(text, older)


@lru_cache(maxsize=8)
def _medium_validator(text: bytes, older: bool) -> Any:  # noqa: FBT001  (a key of the cache)
    return _build_validator(text, older)


def _build_validator(text: bytes, older: bool) -> Any:  # noqa: FBT001  (as above)
    schema = orjson.loads(text)
    kind = _dialect(schema, older=older)
    patterns = rust.FancyRegexOptions(backtrack_limit=_MOST_STEPS, size_limit=_LARGEST_PATTERN)
    try:
        return kind(schema, offline=True, pattern_options=patterns, validate_formats=False)
    except rust.ValidationError as error:
        place = SchemaViolation(tuple(error.instance_path), "", "").path
        raise UnusableSchema(f"{place}: {_short(error.message)}" if place else _short(error.message)) from None
    except (ValueError, rust.ReferencingError) as error:
        raise UnusableSchema(_short(str(error))) from None


def _dialect(schema: Any, *, older: bool) -> type[Any]:
    named = schema.get("$schema") if isinstance(schema, dict) else None
    if named is None or str(named).rstrip("#") == DIALECT:
        return rust.Draft202012Validator
    known = _OLDER.get(str(named).rstrip("#")) if older else None
    if known is None:
        raise UnusableSchema(f"its $schema is {_short(str(named))}, and only {DIALECT} is supported")
    return known


def _sentence(error: Any) -> str:
    """Return the message, quoting at most a line of the value."""
    kinds = rust.ValidationErrorKind
    match error.kind:
        case kinds.Required(property=name):
            return f"{name!r} is a required property"
        case kinds.Type(types=types):
            return f"{_quote(error.instance)} is not of type {', '.join(map(repr, types))}"
        case kinds.Enum(options=options):
            return _short(f"{_quote(error.instance)} is not one of {options!r}")
        case kinds.AdditionalProperties(unexpected=names):
            were = "was" if len(names) == 1 else "were"
            told = _short(", ".join(map(repr, names)))
            return f"Additional properties are not allowed ({told} {were} unexpected)"
    return _short(str(error.message))


def _quote(value: Any) -> str:
    return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def describe_violations(found: Sequence[SchemaViolation]) -> str:
    """Describe violations without a word of the value, for records that keep no texts."""
    return "; ".join(f"{flaw.path or 'it'} does not meet {flaw.keyword}" for flaw in found)

"""Upper bounds of the work of validating a value by a JSON Schema. A unit is some tenths of a microsecond."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from domain.json_schema.patterns import size, weight

FEW_UNITS = 100_000
"""Some milliseconds of work."""
UNBOUNDED = 10**12
"""Practically unbounded work."""

_UNBOUNDED_KEYWORDS = frozenset(
    {"$dynamicRef", "$recursiveRef", "$id", "$anchor", "unevaluatedProperties", "unevaluatedItems"}
)
"""Keywords with which the work cannot be bounded by the schema's size."""
_PER_STATE = 32
"""Characters that one state of a pattern processes in one unit."""
_QUOTED = 16
"""Characters that are quoted in one unit: error messages contain the value."""
_LENGTHS = ("minLength", "maxLength")


@dataclass(frozen=True, slots=True)
class _Work:
    """`parts` of a schema with all references expanded; `states` and `memory` of all its patterns."""

    parts: int = 1
    states: int = 0
    memory: int = 0

    def __add__(self, other: "_Work") -> "_Work":
        return _Work(
            min(UNBOUNDED, self.parts + other.parts),
            min(UNBOUNDED, self.states + other.states),
            min(UNBOUNDED, self.memory + other.memory),
        )


_UNBOUNDED = _Work(UNBOUNDED, UNBOUNDED, UNBOUNDED)


def schema_work(schema: Any) -> int:
    """Return the work of compiling a schema, and the memory that it takes then."""
    work = _measure(schema)
    return min(UNBOUNDED, work.parts + work.states + work.memory)


def value_work(schema: Any, value: Any) -> int:
    """Return the work of validating this value."""
    work = _measure(schema)
    count, characters = _sizes(value)
    return min(UNBOUNDED, work.parts * count + work.states * characters // _PER_STATE)


def violations_work(schema: Any, value: Any) -> int:
    """Return the work of listing the violations too: each part of the schema may quote the whole value."""
    count, characters = _sizes(value)
    return min(UNBOUNDED, value_work(schema, value) + _measure(schema).parts * (count + characters // _QUOTED))


def _measure(schema: Any) -> _Work:
    try:
        return _Counter(schema).of(schema)
    except RecursionError:  # a long chain of references
        return _UNBOUNDED


class _Counter:
    """Counts the parts of a schema with all references expanded, and the states of its patterns."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, _Work] = {}

    def of(self, schema: Any) -> _Work:
        if isinstance(schema, list):
            return sum(map(self.of, schema), _Work())
        if not isinstance(schema, Mapping):
            return _Work()
        if not _UNBOUNDED_KEYWORDS.isdisjoint(schema) or isinstance(schema.get("id"), str):
            return _UNBOUNDED
        patterns = list(_patterns(schema))
        states = sum(map(weight, patterns)) + sum(name in schema for name in _LENGTHS)
        own = _Work(1, states, sum(map(size, patterns)))
        return sum((self._field(name, each) for name, each in schema.items()), own)

    def _field(self, name: str, value: Any) -> _Work:
        if name == "$ref" and isinstance(value, str):
            return self._resolve(value)
        return self.of(value)  # a property may be called `$ref` as well

    def _resolve(self, reference: str) -> _Work:
        if reference not in self._known:
            self._known[reference] = _UNBOUNDED  # a schema that refers to itself is unbounded
            self._known[reference] = self._follow_pointer(reference)
        return self._known[reference]

    def _follow_pointer(self, reference: str) -> _Work:
        """Return the work of the schema at a JSON Pointer; any other reference is unbounded."""
        if not reference.startswith("#/"):
            return _UNBOUNDED
        found = self._root
        for part in unquote(reference).removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, Mapping) and name in found:
                found = found[name]
            else:
                return _UNBOUNDED
        return self.of(found)


def _patterns(schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    if isinstance(named := schema.get("patternProperties"), Mapping):
        yield from (str(name) for name in named)


def _sizes(value: Any) -> tuple[int, int]:
    """Return the numbers of values and of characters in a value."""
    count = characters = 0
    inside = [value]
    while inside:
        each = inside.pop()
        count += 1
        if isinstance(each, str):
            characters += len(each)
        elif isinstance(each, Mapping):
            characters += sum(len(str(key)) for key in each)
            inside.extend(each.values())
        elif isinstance(each, list | tuple):
            inside.extend(each)
    return count, characters

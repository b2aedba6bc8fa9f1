"""How much work it can be at most to check a value against a JSON Schema. A unit is some tenths of a microsecond."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from domain.json_schema.patterns import size, weight

FEW_UNITS = 100_000
"""Some milliseconds of work."""
MUCH = 10**12
"""More than anything that is done at once."""

_APART = frozenset({"$dynamicRef", "$recursiveRef", "$id", "$anchor", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords with which the work cannot be told from the schema's size."""
_PER_STATE = 32
"""Characters that a pattern's states are gone through with in one unit."""
_QUOTED = 16
"""Characters that are quoted in one unit: what is wrong is told with the value that it is wrong of."""
_LENGTHS = ("minLength", "maxLength")


@dataclass(frozen=True, slots=True)
class _Work:
    """`parts` of a schema once all that it refers to is written out; `states` and `memory` of all its patterns."""

    parts: int = 1
    states: int = 0
    memory: int = 0

    def __add__(self, other: "_Work") -> "_Work":
        return _Work(
            min(MUCH, self.parts + other.parts),
            min(MUCH, self.states + other.states),
            min(MUCH, self.memory + other.memory),
        )


_ENDLESS = _Work(MUCH, MUCH, MUCH)


def of_schema(schema: Any) -> int:
    """The work of reading it, and the memory that it takes then."""
    work = _measured(schema)
    return min(MUCH, work.parts + work.states + work.memory)


def of_value(schema: Any, value: Any) -> int:
    """The work of finding out whether this value follows it."""
    work = _measured(schema)
    count, characters = _sizes(value)
    return min(MUCH, work.parts * count + work.states * characters // _PER_STATE)


def of_flaws(schema: Any, value: Any) -> int:
    """The work of telling, besides, what is wrong: each part may quote the whole value."""
    count, characters = _sizes(value)
    return min(MUCH, of_value(schema, value) + _measured(schema).parts * (count + characters // _QUOTED))


def _measured(schema: Any) -> _Work:
    try:
        return _Counter(schema).of(schema)
    except RecursionError:  # references in a chain
        return _ENDLESS


class _Counter:
    """How many parts a schema has once all that it refers to is written out, and what its patterns take."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, _Work] = {}

    def of(self, schema: Any) -> _Work:
        if isinstance(schema, list):
            return sum(map(self.of, schema), _Work())
        if not isinstance(schema, Mapping):
            return _Work()
        if not _APART.isdisjoint(schema) or isinstance(schema.get("id"), str):
            return _ENDLESS
        patterns = list(_patterns(schema))
        states = sum(map(weight, patterns)) + sum(name in schema for name in _LENGTHS)
        own = _Work(1, states, sum(map(size, patterns)))
        return sum((self._field(name, each) for name, each in schema.items()), own)

    def _field(self, name: str, value: Any) -> _Work:
        if name == "$ref" and isinstance(value, str):
            return self._referred(value)
        return self.of(value)  # a property may be called `$ref` as well

    def _referred(self, reference: str) -> _Work:
        if reference not in self._known:
            self._known[reference] = _ENDLESS  # what refers to itself has no end
            self._known[reference] = self._pointed_at(reference)
        return self._known[reference]

    def _pointed_at(self, reference: str) -> _Work:
        """The work of what a JSON Pointer leads to; any other reference may lead anywhere."""
        if not reference.startswith("#/"):
            return _ENDLESS
        found = self._root
        for part in unquote(reference).removeprefix("#/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
                found = found[int(name)]
            elif isinstance(found, Mapping) and name in found:
                found = found[name]
            else:
                return _ENDLESS
        return self.of(found)


def _patterns(schema: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(pattern := schema.get("pattern"), str):
        yield pattern
    if isinstance(named := schema.get("patternProperties"), Mapping):
        yield from (str(name) for name in named)


def _sizes(value: Any) -> tuple[int, int]:
    """How many values there are in it, and how many characters."""
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

"""How much work it can be at most to check a value against a JSON Schema. A unit is some tenths of a microsecond."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.patterns import weight

FEW_UNITS = 100_000
"""Some milliseconds of work."""
MUCH = 10**12
"""More than anything that is done at once."""

_APART = frozenset({"$dynamicRef", "$recursiveRef", "$id", "$anchor", "unevaluatedProperties", "unevaluatedItems"})
"""Keywords with which the work cannot be told from the schema's size."""
_PER_STATE = 32
"""Characters that a pattern's states are gone through with in one unit."""


def of_schema(schema: Any) -> int:
    """The work of reading it."""
    parts, states = _measured(schema)
    return min(MUCH, parts + states)


def of_value(schema: Any, value: Any) -> int:
    """The work of checking this value."""
    parts, states = _measured(schema)
    count, characters = _sizes(value)
    return min(MUCH, parts * count + states * characters // _PER_STATE)


def _measured(schema: Any) -> tuple[int, int]:
    """How many parts a schema has once all that it refers to is written out, and the states of all its patterns."""
    counter = _Counter(schema)
    parts = counter.parts(schema)
    return parts, counter.states


class _Counter:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._known: dict[str, int] = {}
        self.states = 0

    def parts(self, schema: Any) -> int:
        if isinstance(schema, list):
            return min(MUCH, 1 + sum(map(self.parts, schema)))
        if not isinstance(schema, Mapping):
            return 1
        if not _APART.isdisjoint(schema):
            return MUCH
        self.states += sum(map(weight, _patterns(schema)))
        inside = sum(self._field(name, each) for name, each in schema.items())
        return min(MUCH, 1 + inside)

    def _field(self, name: str, value: Any) -> int:
        if name == "$ref":
            return self._referred(value) if isinstance(value, str) else 1
        return self.parts(value)

    def _referred(self, reference: str) -> int:
        if reference not in self._known:
            self._known[reference] = MUCH  # what refers to itself has no end
            self._known[reference] = self.parts(_pointed_at(self._root, reference))
        return self._known[reference]


def _pointed_at(root: Any, reference: str) -> Any:
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) and name else found
    return found


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

"""Upper bounds of the sizes of values, and of the parts inside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_VALUES = 20_000
"""Limit on the values whose sizes are computed one by one."""


@dataclass(frozen=True, slots=True)
class Size:
    """`whole` is the size in all; `count` the number of parts, 0 for a text or number.

    `element` bounds each part. `values` are the possible values, if they are known.
    """

    whole: int = 1
    count: int = 0
    element: "Size | None" = None
    values: tuple[Any, ...] | None = None


NO_SIZE = Size(0)


class ValueSizes:
    """The sizes of known values, each computed once."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}

    def of(self, values: Sequence[Any]) -> Size:
        """Return the bound of any one of these values."""
        whole = max(map(self._whole, values), default=0)
        count = max((len(value) for value in values if isinstance(value, dict | list)), default=0)
        return Size(whole, count, None, tuple(values) if len(values) <= _MOST_VALUES else None)

    def field(self, size: Size, name: str) -> Size:
        """Return the bound of a field."""
        if size.values is None:
            return size_of_part(size, self)
        return self.of([value[name] for value in size.values if isinstance(value, dict) and name in value])

    def _whole(self, value: Any) -> int:
        if isinstance(value, str):
            return len(value) + 1
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in self._known:
            keys = sum(len(str(key)) for key in value) if isinstance(value, dict) else 0
            self._known[id(value)] = 1 + keys + sum(map(self._whole, _parts(value)))
        return self._known[id(value)]


def size_of_part(size: Size, weights: ValueSizes) -> Size:
    """Return the bound of any part: of the elements of a list, of the keys and values of a map."""
    if size.values is not None:
        return weights.of([part for value in size.values for part in (*_parts(value), *_keys(value))])
    return size.element or Size(size.whole, size.whole)


def larger_of(one: Size, other: Size) -> Size:
    """Return the bound of a value that is one or the other."""
    values = None if one.values is None or other.values is None else (*one.values, *other.values)
    elements = [size.element for size in (one, other) if size.element]
    both = one.element is not None and other.element is not None
    element = larger_of(*elements) if both else elements[0] if elements and not (one.count and other.count) else None
    return Size(max(one.whole, other.whole), max(one.count, other.count), element, values)


def size_of_list(sizes: Sequence[Size]) -> Size:
    """Return the bound of a list of these."""
    element = sizes[0] if sizes else None
    for size in sizes[1:]:
        element = larger_of(element, size) if element else size
    return Size(1 + sum(size.whole for size in sizes), len(sizes), element)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _keys(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        yield from value

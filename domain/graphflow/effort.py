"""How much work an expression can be at most, on the data at hand. What would be too much is not begun.

The library counts the rounds of loops (10,000 in all) but not what is done in one: comparing two long lists, or
doubling a text. So sizes are followed through the tree, always upwards. A unit is about one scalar or character.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.graphflow.syntax import Call, Collection, Constant, Loop, Name, Select, Tree

MOST_UNITS = 20_000_000
"""About a second of work, and about a hundred megabytes."""
_MOST_ROUNDS = 10_000
_SMALL = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "size", "matches"})


@dataclass(frozen=True, slots=True)
class Size:
    """An upper bound of a value's size: in all, how many parts it has, and the size of its largest part."""

    whole: int = 1
    count: int = 1
    part: int = 1


def units(tree: Tree, data: Mapping[str, Any]) -> int:
    """The most units of work of evaluating an expression."""
    meter = _Meter(data)
    size = meter.size(tree, {})
    return meter.spent + size.whole


class _Meter:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.spent = 0
        self._data = data
        self._known: dict[int, Size] = {}
        self._times = 1

    def size(self, tree: Tree, local: Mapping[str, Size]) -> Size:
        """The bound of a tree's value; the work of getting it is added to what is spent."""
        self.spent += self._times
        match tree:
            case Constant(text=text):
                return Size(len(text or "") + 1, len(text or ""))
            case Name() | Select():
                return self._read(tree, local)
            case Call():
                return self._called(tree, local)
            case Collection(parts=parts):
                sizes = [self.size(part, local) for part in parts]
                return Size(sum(size.whole for size in sizes) + 1, len(sizes), max(_wholes(sizes), default=0))
            case Loop():
                return self._looped(tree, local)

    def _read(self, tree: Name | Select, local: Mapping[str, Size]) -> Size:
        path = path_of(tree)
        if path and path[0] not in local:
            size = self._of(_found(self._data, path))
        elif isinstance(tree, Name):
            size = local.get(tree.name, Size())
        else:
            size = _inside(self.size(tree.operand, local))
        self.spent += self._times * size.whole if size.count <= 1 else 0
        return size

    def _called(self, call: Call, local: Mapping[str, Size]) -> Size:
        sizes = [self.size(argument, local) for argument in call.arguments]
        whole = sum(_wholes(sizes))
        self.spent += self._times * (_product(sizes) if call.function == "matches" else whole)
        match call.function:
            case name if name in _SMALL:
                return Size()
            case "_[_]":
                return _inside(sizes[0])
            case "_?_:_":
                return Size(*(max(getattr(size, field) for size in sizes[1:]) for field in ("whole", "count", "part")))
        return Size(whole, sum(size.count for size in sizes), max((size.part for size in sizes), default=1))

    def _looped(self, loop: Loop, local: Mapping[str, Size]) -> Size:
        over, initial = self.size(loop.over, local), self.size(loop.initial, local)
        rounds = min(over.count, _MOST_ROUNDS)
        item = Size(over.part, over.part, over.part)
        inside = {**local, **dict.fromkeys(loop.names, item), loop.names[-1]: Size(0, 0, 0)}
        before, self._times = self._times, self._times * max(rounds, 1)
        step = max((self.size(part, inside).whole for part in loop.body), default=1)
        self._times = before
        self.spent += before * rounds * rounds // 4  # what has been gathered is copied in each round
        return Size(initial.whole + rounds * step, rounds, step)

    def _of(self, value: Any) -> Size:
        if isinstance(value, str):
            return Size(len(value) + 1, 1)
        if not isinstance(value, dict | list):
            return Size()
        if id(value) not in self._known:
            parts = [self._of(part).whole for part in (value.values() if isinstance(value, dict) else value)]
            keys = sum(map(len, value)) if isinstance(value, dict) else 0
            longest = max(map(len, value), default=0) if isinstance(value, dict) else 0
            self._known[id(value)] = Size(sum(parts) + keys + 1, len(parts), max(*parts, longest, 1))
        return self._known[id(value)]


def path_of(tree: Tree) -> tuple[str, ...] | None:
    """The path that is read, as in `("nodes", "draft", "output")`, if nothing but fixed names and texts make it."""
    match tree:
        case Name(name=name):
            return (name,)
        case Select(operand=operand, field=field, test=False):
            return (*before, field) if (before := path_of(operand)) else None
        case Call(function="_[_]", arguments=(operand, Constant(text=str(field)))):
            return (*before, field) if (before := path_of(operand)) else None
    return None


def _found(data: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(data, Mapping) or name not in data:
            return None
        data = data[name]
    return data


def _inside(size: Size) -> Size:
    return Size(size.part, size.part, size.part)


def _wholes(sizes: list[Size]) -> list[int]:
    return [size.whole for size in sizes]


def _product(sizes: list[Size]) -> int:
    product = 1
    for size in sizes:
        product *= max(size.whole, 1)
    return product

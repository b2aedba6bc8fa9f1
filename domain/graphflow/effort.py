"""How much work an expression can be at most, on the data at hand. What would be too much is not begun.

The library counts the rounds of loops (10,000 in all) but not what is done in one: comparing two long lists, or
doubling a text. So sizes are followed through the tree, always upwards. A unit is about one scalar or character.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from domain.graphflow.sizes import NOTHING, Size, Weights, inside, joined, larger
from domain.graphflow.syntax import Call, Collection, Constant, Loop, Name, Select, Tree

MOST_UNITS = 20_000_000
"""A second or two of work, and about a hundred megabytes."""
_MOST_ROUNDS = 10_000
_SMALL = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "size", "matches"})


def units(tree: Tree, data: Mapping[str, Any]) -> int:
    """The most units of work of evaluating an expression."""
    meter = _Meter(data)
    size = meter.size(tree, {})
    return meter.spent + size.whole


class _Meter:
    def __init__(self, data: Mapping[str, Any]) -> None:
        self.spent = 0
        self._data = data
        self._weights = Weights()
        self._times = 1

    def size(self, tree: Tree, local: Mapping[str, Size]) -> Size:
        """The bound of a tree's value; the work of getting it is added to what is spent."""
        self._spend(1)
        match tree:
            case Constant(text=text):
                return Size(len(text or "") + 1)
            case Name(name=name):
                return self._got(local[name] if name in local else self._weights.of([self._data.get(name)]))
            case Select(operand=operand, field=field):
                return self._got(self._weights.field(self.size(operand, local), field))
            case Call():
                return self._called(tree, local)
            case Collection(parts=parts):
                return joined([self.size(part, local) for part in parts])
            case Loop():
                return self._looped(tree, local)

    def _spend(self, units: int) -> None:
        self.spent += self._times * units

    def _got(self, size: Size) -> Size:
        if not size.count:  # texts are copied when they are read, lists and maps are not
            self._spend(size.whole)
        return size

    def _called(self, call: Call, local: Mapping[str, Size]) -> Size:
        sizes = [self.size(argument, local) for argument in call.arguments]
        self._spend(_work(call.function, sizes))
        match call.function, call.arguments:
            case name, _ if name in _SMALL:
                return Size()
            case "_[_]", (_, Constant(text=str(field))):
                return self._got(self._weights.field(sizes[0], field))
            case "_[_]", _:
                return self._got(inside(sizes[0], self._weights))
            case "_?_:_", _:
                return larger(sizes[1], sizes[2])
            case "_+_", _:
                return self._added(sizes)
        return Size(sum(size.whole for size in sizes))

    def _added(self, sizes: Sequence[Size]) -> Size:
        whole, count = sum(size.whole for size in sizes), sum(size.count for size in sizes)
        elements = [inside(size, self._weights) for size in sizes if size.count]
        element = elements[0] if elements else None
        for each in elements[1:]:
            element = larger(each, element) if element else each
        return Size(whole, count, element)

    def _looped(self, loop: Loop, local: Mapping[str, Size]) -> Size:
        over = self.size(loop.over, local)
        rounds = min(over.count, _MOST_ROUNDS)
        named = {**local, **dict.fromkeys(loop.names, inside(over, self._weights)), loop.names[-1]: NOTHING}
        before, self._times = self._times, self._times * max(rounds, 1)
        steps = [self.size(part, named) for part in loop.body]
        self._times = before
        largest = max(steps, key=lambda size: size.whole)
        if not isinstance(loop.initial, Collection):
            return Size()
        self._spend(rounds * rounds // 8)  # a list is gathered, and copied in each round
        return Size(1 + rounds * largest.whole, rounds, inside(largest, self._weights))


def _work(function: str, sizes: Sequence[Size]) -> int:
    whole = sum(size.whole for size in sizes)
    if function == "matches":
        return sizes[0].whole * sizes[-1].whole
    return 1 if function in {"_[_]", "_?_:_", "_&&_", "_||_"} or (function == "size" and sizes[0].count) else whole


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

"""Upper bounds of the work of an expression on the given data. An expression over the limit is not evaluated.

The library counts the rounds of loops (10,000 in all) but not the work inside one: comparing two long lists, doubling a
text, or copying the list that a loop builds. So upper bounds of sizes are computed through the tree. A unit is about
one scalar or character.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from domain.graphflow.expressions.programs import SLICE
from domain.graphflow.expressions.sizes import NOTHING, Size, Weights, inside, joined, larger
from domain.graphflow.expressions.syntax import Call, Collection, Constant, Loop, Name, Select, Tree, children
from domain.json_schema.patterns import LARGEST, weight

MOST_UNITS = 20_000_000
"""A second or two of work, and about a hundred megabytes."""
FEW_UNITS = 200_000
"""Some milliseconds of work, and a few megabytes: not worth another process."""
MOST_ROUNDS = 10_000
_COPY = 3
"""Units for half a copied item: it takes 32 bytes, and as long as comparing six scalars."""
_SMALL = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "size", "matches"})
_SEARCHES = frozenset({"contains", "indexOf", "lastIndexOf", "split", "replace"})
_ARITHMETIC = frozenset({"_+_", "_-_", "_*_", "_/_", "_%_"})
_PRECISION = 1_000
"""Limit on the digits of one number in the result of `format`."""


def units(tree: Tree, data: Mapping[str, Any], *, sliced: bool = False) -> int:
    """Return the most units of work to evaluate an expression; `sliced`: its long lists are processed in slices."""
    meter = _Meter(data, sliced=sliced)
    size = meter.size(tree, {})
    return meter.spent + size.whole


class _Meter:
    def __init__(self, data: Mapping[str, Any], *, sliced: bool) -> None:
        self.spent = 0
        self._data = data
        self._sliced = sliced
        self._loops = 0
        self._weights = Weights()
        self._times = 1

    def size(self, tree: Tree, local: Mapping[str, Size]) -> Size:
        """Return the bound of a tree's value; the work to compute it is added to `spent`."""
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
        if not size.count:  # reading copies texts, but not lists and maps
            self._spend(size.whole)
        return size

    def _called(self, call: Call, local: Mapping[str, Size]) -> Size:
        sizes = [self.size(argument, local) for argument in call.arguments]
        self._spend(_work(call, sizes))
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
        return _made(call.function, sizes)

    def _added(self, sizes: Sequence[Size]) -> Size:
        whole, count = sum(size.whole for size in sizes), sum(size.count for size in sizes)
        elements = [inside(size, self._weights) for size in sizes if size.count]
        element = elements[0] if elements else None
        for each in elements[1:]:
            element = larger(each, element) if element else each
        return Size(whole, count, element)

    def _looped(self, loop: Loop, local: Mapping[str, Size]) -> Size:
        over = self.size(loop.over, local)
        rounds = min(over.count, MOST_ROUNDS)
        named = {**local, **dict.fromkeys(loop.names, inside(over, self._weights)), loop.names[-1]: NOTHING}
        before, self._times = self._times, self._times * max(rounds, 1)
        self._loops += 1
        steps = [self.size(part, named) for part in loop.body]
        self._loops -= 1
        self._times = before
        largest = max(steps, key=lambda size: size.whole)
        if not isinstance(loop.initial, Collection):
            return Size()
        at_once = min(rounds, SLICE) if self._sliced and not self._loops else rounds
        self._spend(_COPY * rounds * at_once)  # the result list is copied in each round
        return Size(1 + rounds * largest.whole, rounds, inside(largest, self._weights))


def _made(function: str, sizes: Sequence[Size]) -> Size:
    """Return the bound of a function's result."""
    whole = sum(size.whole for size in sizes)
    match function:
        case "split":
            return Size(2 * whole, whole, Size(whole))
        case "join":
            return Size(whole + sizes[0].count * sizes[-1].whole)
        case "replace":
            return Size(sizes[0].whole * (1 + sizes[2].whole) if len(sizes) > 2 else whole)  # noqa: PLR2004  (texts)
        case "format":
            return Size(whole + _PRECISION * sizes[0].whole)
    return Size(2 * whole)


def _work(call: Call, sizes: Sequence[Size]) -> int:
    function, whole = call.function, sum(size.whole for size in sizes)
    if function == "matches":
        return sizes[0].whole * _states(call.arguments[-1], sizes[-1])
    if function in _SEARCHES:
        return whole + sizes[0].whole * sizes[1].whole // 8
    return 1 if function in {"_[_]", "_?_:_", "_&&_", "_||_"} or (function == "size" and sizes[0].count) else whole


def _states(pattern: Tree, size: Size) -> int:
    """Return the states of a pattern; a computed one may contain any counts."""
    if isinstance(pattern, Constant):
        return weight(pattern.text or "")
    return min(LARGEST, 1_000 * size.whole)


def counted_with(tree: Tree) -> Iterator[tuple[str, ...]]:
    """Yield the paths that are direct operands of an arithmetic operator."""
    if isinstance(tree, Call) and tree.function in _ARITHMETIC:
        yield from (path for operand in tree.arguments if (path := path_of(operand)))
    for child in children(tree):
        yield from counted_with(child)


def path_of(tree: Tree) -> tuple[str, ...] | None:
    """Return the path that is read, as in `("nodes", "draft", "output")`; None if it is not constant."""
    match tree:
        case Name(name=name):
            return (name,)
        case Select(operand=operand, field=field, test=False):
            return (*before, field) if (before := path_of(operand)) else None
        case Call(function="_[_]", arguments=(operand, Constant(text=str(field)))):
            return (*before, field) if (before := path_of(operand)) else None
    return None

"""Upper bounds of the work of an expression on the given data. An expression over the limit is not evaluated.

The library counts the rounds of loops (10,000 in all) but not the work inside one: comparing two long lists, doubling a
text, or copying the list that a loop builds. So upper bounds of sizes are computed through the tree. A unit is about
one scalar or character.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from domain.graphflow.expressions.programs import SLICE
from domain.graphflow.expressions.sizes import NO_SIZE, Size, ValueSizes, larger_of, size_of_list, size_of_part
from domain.graphflow.expressions.syntax import (
    CallExpr,
    CollectionExpr,
    ConstantExpr,
    LoopExpr,
    NameExpr,
    SelectExpr,
    Tree,
    children,
)
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


def work_units(tree: Tree, data: Mapping[str, Any], *, sliced: bool = False) -> int:
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
        self._weights = ValueSizes()
        self._times = 1

    def size(self, tree: Tree, local: Mapping[str, Size]) -> Size:
        """Return the bound of a tree's value; the work to compute it is added to `spent`."""
        self._spend(1)
        match tree:
            case ConstantExpr(text=text):
                return Size(len(text or "") + 1)
            case NameExpr(name=name):
                return self._read_size(local[name] if name in local else self._weights.of([self._data.get(name)]))
            case SelectExpr(operand=operand, field=field):
                return self._read_size(self._weights.field(self.size(operand, local), field))
            case CallExpr():
                return self._call_size(tree, local)
            case CollectionExpr(parts=parts):
                return size_of_list([self.size(part, local) for part in parts])
            case LoopExpr():
                return self._loop_size(tree, local)

    def _spend(self, units: int) -> None:
        self.spent += self._times * units

    def _read_size(self, size: Size) -> Size:
        if not size.count:  # reading copies texts, but not lists and maps
            self._spend(size.whole)
        return size

    def _call_size(self, call: CallExpr, local: Mapping[str, Size]) -> Size:
        sizes = [self.size(argument, local) for argument in call.arguments]
        self._spend(_work(call, sizes))
        match call.function, call.arguments:
            case name, _ if name in _SMALL:
                return Size()
            case "_[_]", (_, ConstantExpr(text=str(field))):
                return self._read_size(self._weights.field(sizes[0], field))
            case "_[_]", _:
                return self._read_size(size_of_part(sizes[0], self._weights))
            case "_?_:_", _:
                return larger_of(sizes[1], sizes[2])
            case "_+_", _:
                return self._sum_size(sizes)
        return _result_size(call.function, sizes)

    def _sum_size(self, sizes: Sequence[Size]) -> Size:
        whole, count = sum(size.whole for size in sizes), sum(size.count for size in sizes)
        elements = [size_of_part(size, self._weights) for size in sizes if size.count]
        element = elements[0] if elements else None
        for each in elements[1:]:
            element = larger_of(each, element) if element else each
        return Size(whole, count, element)

    def _loop_size(self, loop: LoopExpr, local: Mapping[str, Size]) -> Size:
        over = self.size(loop.over, local)
        rounds = min(over.count, MOST_ROUNDS)
        named = {**local, **dict.fromkeys(loop.names, size_of_part(over, self._weights)), loop.names[-1]: NO_SIZE}
        before, self._times = self._times, self._times * max(rounds, 1)
        self._loops += 1
        steps = [self.size(part, named) for part in loop.body]
        self._loops -= 1
        self._times = before
        largest = max(steps, key=lambda size: size.whole)
        if not isinstance(loop.initial, CollectionExpr):
            return Size()
        at_once = min(rounds, SLICE) if self._sliced and not self._loops else rounds
        self._spend(_COPY * rounds * at_once)  # the result list is copied in each round
        return Size(1 + rounds * largest.whole, rounds, size_of_part(largest, self._weights))


def _result_size(function: str, sizes: Sequence[Size]) -> Size:
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


def _work(call: CallExpr, sizes: Sequence[Size]) -> int:
    function, whole = call.function, sum(size.whole for size in sizes)
    if function == "matches":
        return sizes[0].whole * _states(call.arguments[-1], sizes[-1])
    if function in _SEARCHES:
        return whole + sizes[0].whole * sizes[1].whole // 8
    return 1 if function in {"_[_]", "_?_:_", "_&&_", "_||_"} or (function == "size" and sizes[0].count) else whole


def _states(pattern: Tree, size: Size) -> int:
    """Return the states of a pattern; a computed one may contain any counts."""
    if isinstance(pattern, ConstantExpr):
        return weight(pattern.text or "")
    return min(LARGEST, 1_000 * size.whole)


def arithmetic_paths(tree: Tree) -> Iterator[tuple[str, ...]]:
    """Yield the paths that are direct operands of an arithmetic operator."""
    if isinstance(tree, CallExpr) and tree.function in _ARITHMETIC:
        yield from (path for operand in tree.arguments if (path := path_of(operand)))
    for child in children(tree):
        yield from arithmetic_paths(child)


def path_of(tree: Tree) -> tuple[str, ...] | None:
    """Return the path that is read, as in `("nodes", "draft", "output")`; None if it is not constant."""
    match tree:
        case NameExpr(name=name):
            return (name,)
        case SelectExpr(operand=operand, field=field, test=False):
            return (*before, field) if (before := path_of(operand)) else None
        case CallExpr(function="_[_]", arguments=(operand, ConstantExpr(text=str(field)))):
            return (*before, field) if (before := path_of(operand)) else None
    return None

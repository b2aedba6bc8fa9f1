"""Compiled expressions, and the two rewrites that they need.

**Order.** The library iterates over the keys of an object in an order that differs from process to process. So each
loop iterates over `@ordered(…)` of its range: keys in order, lists as they are.

**Slices.** The library copies the list that `map` and `filter` build in each round, so that time and memory grow with
the square of its length. A loop over a long list is extracted, run for one slice of the list at a time, and its result
is inserted in its place: the value is the same, because expressions have no effects.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from domain.graphflow.expressions import protobuf as wire
from domain.graphflow.expressions.protobuf import Field, message, text

SLICE = 64
"""Limit on the items of one loop of the library."""
ORDERED = "@ordered"
"""Not a valid identifier, so that no expression can name it; the same holds for the names of extracted loops."""

_DYN, _STRING = cel.Type.DYN, cel.Type.STRING
_IDENTIFIER, _CALL, _LIST, _OBJECT, _LOOP = 4, 6, 7, 8, 9
_RANGE, _ACCUMULATOR = 2, 4
_KEY_AND_VALUE = frozenset({3, 4})
_INSIDE: Mapping[int, frozenset[int]] = {
    5: frozenset({1}),
    _CALL: frozenset({1, 3}),
    _LIST: frozenset({1}),
    _OBJECT: frozenset({2}),
    _LOOP: frozenset({2, 4, 5, 6, 7}),
}
"""By the field number of a kind of `Expr`: the numbers of its fields that are expressions, or an object's entries."""


@dataclass(frozen=True, slots=True)
class ExtractedLoop:
    """An extracted loop: `over` returns its list, `loop` runs it for the slice named `part`; the result is `name`."""

    name: str
    part: str
    over: cel.Expression
    loop: cel.Expression


@dataclass(frozen=True, slots=True)
class SlicedProgram:
    """An expression whose loops are evaluated before it, in their order."""

    loops: tuple[ExtractedLoop, ...]
    rest: cel.Expression


def environment(variables: Mapping[str, Any]) -> cel.Env:
    """Return the environment that expressions are compiled in, with the available functions."""
    return cel.NewEnv(variables=dict(variables), extensions=[ext_strings.ExtStrings(), _FUNCTIONS])


def with_ordered_loops(env: cel.Env, serialized: bytes) -> cel.Expression:
    """Return the expression with loops that iterate over keys in order.

    Raises:
        RuntimeError: it is nested too deeply for the library to deserialize.
    """
    return env.deserialize(_with_root(serialized, _order_loops(_root(serialized))))


def slice_loops(serialized: bytes, names: Sequence[str]) -> SlicedProgram:
    """Return the expression with its loops extracted. `names` are its variables.

    Raises:
        RuntimeError: as for `ordered`.
    """
    taken: list[tuple[bytes, bytes]] = []
    root = _extract_loops(_root(serialized), taken)
    made = [f"@{what}{at}" for at in range(len(taken)) for what in ("loop", "part")]
    env = environment(dict.fromkeys((*names, *made), _DYN))

    def program(expr: bytes) -> cel.Expression:
        return env.deserialize(_with_root(serialized, _order_loops(expr)))

    loops = (
        ExtractedLoop(f"@loop{at}", f"@part{at}", program(over), program(loop)) for at, (over, loop) in enumerate(taken)
    )
    return SlicedProgram(tuple(loops), program(root))


def _extract_loops(expr: bytes, taken: list[tuple[bytes, bytes]]) -> bytes:
    """Return the expression without the loops that build lists, which are added to `taken`."""
    fields = [_map_field(field, lambda inner: _extract_loops(inner, taken), once=True) for field in wire.parse(expr)]
    loop = next((value for number, _, value in fields if number == _LOOP), None)
    if loop is None or not _is_gathering(loop):
        return wire.serialize(fields)
    at, parts = len(taken), wire.parse(loop)
    over = next(value for number, _, value in parts if number == _RANGE)
    part = message(_RANGE, _identifier(f"@part{at}"))
    taken.append((over, wire.serialize([message(_LOOP, *(part if each[0] == _RANGE else each for each in parts))])))
    return wire.serialize([_identifier(f"@loop{at}")])


def _order_loops(expr: bytes) -> bytes:
    """Return the expression with `@ordered` around the range of its loops, at any depth."""
    return wire.serialize(_ordered_loop(_map_field(field, _order_loops)) for field in wire.parse(expr))


def _map_field(field: Field, change: Callable[[bytes], bytes], *, once: bool = False) -> Field:
    """Map the expressions in a field of an `Expr`; with `once`, only those evaluated once."""
    number, kind, value = field
    inside = frozenset({_RANGE}) if once and number == _LOOP else _INSIDE.get(number)
    if inside is None:
        return field
    if number == _OBJECT:
        change = partial(_entry, change)
    return number, kind, wire.serialize((n, k, change(v) if n in inside else v) for n, k, v in wire.parse(value))


def _entry(change: Callable[[bytes], bytes], entry: bytes) -> bytes:
    return wire.serialize((n, k, change(v) if n in _KEY_AND_VALUE else v) for n, k, v in wire.parse(entry))


def _ordered_loop(field: Field) -> Field:
    number, _, value = field
    if number != _LOOP:
        return field
    parts = [
        message(_RANGE, message(_CALL, text(2, ORDERED), (3, wire.TEXT, v))) if n == _RANGE else (n, k, v)
        for n, k, v in wire.parse(value)
    ]
    return message(_LOOP, *parts)


def _is_gathering(loop: bytes) -> bool:
    """Return True if a loop starts with an empty list, to which each round adds."""
    initial = next((value for number, _, value in wire.parse(loop) if number == _ACCUMULATOR), b"")
    return any(number == _LIST for number, _, _ in wire.parse(initial))


def _identifier(name: str) -> Field:
    return message(_IDENTIFIER, text(1, name))


def _root(serialized: bytes) -> bytes:
    parsed = next(value for number, _, value in wire.parse(serialized) if number == 2)  # noqa: PLR2004  (of an `Any`)
    return next(value for number, _, value in wire.parse(parsed) if number == 2)  # noqa: PLR2004  (of a `ParsedExpr`)


def _with_root(serialized: bytes, root: bytes) -> bytes:
    kept = [field for field in wire.parse(serialized) if field[0] == 1]
    return wire.serialize([*kept, message(2, (2, wire.TEXT, root))])


def in_order(value: Any) -> Any:
    """Return the keys of an object in order; any other value as it is."""
    if not isinstance(value, dict):
        return value
    return sorted(value, key=lambda key: (type(key).__name__, key))


def _method(name: str, of: Callable[[str], str]) -> cel.FunctionDecl:
    overload = cel.Overload(f"string_{name}", return_type=_STRING, parameters=[_STRING], is_member=True, impl=of)
    return cel.FunctionDecl(name, [overload])


_FUNCTIONS = cel.CelExtension(
    "convergio",
    [
        cel.FunctionDecl(
            ORDERED,
            [cel.Overload("ordered_dyn", return_type=_DYN, parameters=[_DYN], is_member=False, impl=in_order)],
        ),
        _method("lower", str.lower),
        _method("upper", str.upper),
    ],
)

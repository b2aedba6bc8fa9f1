"""The syntax tree of a CEL expression, decoded from the library's protobuf message `cel.expr.Expr`.

Only the parts that the platform needs are kept: reads, loops, operators.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from domain.graphflow.expressions import protobuf as wire


@dataclass(frozen=True, slots=True)
class ConstantExpr:
    text: str | None
    """The text, if it is one; other constants are small and are not kept."""


@dataclass(frozen=True, slots=True)
class NameExpr:
    name: str


@dataclass(frozen=True, slots=True)
class SelectExpr:
    operand: "Tree"
    field: str
    test: bool
    """True for `has(operand.field)`."""


@dataclass(frozen=True, slots=True)
class CallExpr:
    """An operator or a function: `a + b` calls `_+_`, `a[0]` calls `_[_]`. A receiver is the first argument."""

    function: str
    arguments: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class CollectionExpr:
    """A list or map literal: its elements, or its keys and values."""

    parts: tuple["Tree", ...]


@dataclass(frozen=True, slots=True)
class LoopExpr:
    """A macro such as `all` or `map`: `body` runs for each item of `over`; `names`: the item's and result's."""

    names: tuple[str, ...]
    over: "Tree"
    initial: "Tree"
    body: tuple["Tree", ...]


Tree = ConstantExpr | NameExpr | SelectExpr | CallExpr | CollectionExpr | LoopExpr

_Fields = dict[int, list[bytes]]


def tree_of(serialized: bytes) -> Tree:
    """Decode a serialized expression, which is an `Any` with a `ParsedExpr`."""
    parsed = _fields(_message(_fields(serialized), 2))
    return _tree(_message(parsed, 2))


def children(tree: Tree) -> tuple[Tree, ...]:
    match tree:
        case SelectExpr(operand=operand):
            return (operand,)
        case CallExpr(arguments=parts) | CollectionExpr(parts=parts):
            return parts
        case LoopExpr(over=over, initial=initial, body=body):
            return (over, initial, *body)
    return ()


def has_loops(tree: Tree) -> bool:
    """Return True if the tree contains a loop."""
    return isinstance(tree, LoopExpr) or any(map(has_loops, children(tree)))


def _tree(data: bytes) -> Tree:
    expr = _fields(data)
    kind = next((number for number in _KINDS if number in expr), None)
    return _KINDS[kind](_fields(_message(expr, kind))) if kind else ConstantExpr(None)


def _constant(constant: _Fields) -> ConstantExpr:
    return ConstantExpr(_text(constant, _STRING_VALUE) if _STRING_VALUE in constant else None)


def _select(select: _Fields) -> SelectExpr:
    return SelectExpr(_tree(_message(select, 1)), _text(select, 2), test=_message(select, 3) == b"\x01")


def _call(call: _Fields) -> CallExpr:
    return CallExpr(_text(call, 2), tuple(_tree(each) for each in (*_messages(call, 1), *_messages(call, 3))))


def _entries(struct: _Fields) -> Iterator[Tree]:
    for entry in _messages(struct, 2):
        fields = _fields(entry)
        yield from (_tree(part) for number in (3, 4) for part in _messages(fields, number))


def _loop(loop: _Fields) -> LoopExpr:
    names = tuple(_text(loop, number) for number in (1, 8, 3) if number in loop)
    body = tuple(_tree(_message(loop, number)) for number in (5, 6, 7) if number in loop)
    return LoopExpr(names, _tree(_message(loop, 2)), _tree(_message(loop, 4)), body)


_STRING_VALUE = 6
_KINDS: Mapping[int, Callable[[_Fields], Tree]] = {
    3: _constant,
    4: lambda name: NameExpr(_text(name, 1)),
    5: _select,
    6: _call,
    7: lambda values: CollectionExpr(tuple(_tree(each) for each in _messages(values, 1))),
    8: lambda struct: CollectionExpr(tuple(_entries(struct))),
    9: _loop,
}
"""The kinds of `Expr` by their field numbers."""


def _message(fields: _Fields, number: int) -> bytes:
    return _messages(fields, number)[-1] if number in fields else b""


def _messages(fields: _Fields, number: int) -> list[bytes]:
    return fields.get(number, [])


def _text(fields: _Fields, number: int) -> str:
    return _message(fields, number).decode("utf-8", "replace")


def _fields(data: bytes) -> _Fields:
    """Return the fields of one protobuf message by their numbers, in the order of their appearance."""
    fields: _Fields = {}
    for number, _, value in wire.parse(data):
        fields.setdefault(number, []).append(value)
    return fields

"""Expressions in CEL: compiled, checked against declared types, evaluated within bounds. No I/O; every one ends.

An expression reads `input`, `nodes`, `context` and `visit`, and inside a map its item.
"""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Self

from cel_expr_python import cel

from domain.errors import Invalid
from domain.graphflow.definition.node_types import LONGEST_EXPRESSION
from domain.graphflow.expressions.cost import FEW_UNITS, MOST_ROUNDS, MOST_UNITS, units
from domain.graphflow.expressions.error_messages import sentence
from domain.graphflow.expressions.programs import SLICE, Gathering, Sliced, environment, in_order, ordered, sliced
from domain.graphflow.expressions.syntax import Tree, has_loops, tree_of
from domain.graphflow.expressions.tokens import without_tests
from domain.graphflow.expressions.types import Kind, cel_type
from domain.json_schema.depth import DEEPEST
from domain.separate_process import WorkLimitExceeded, run_in_process

ROOTS = frozenset({"input", "nodes", "context", "visit"})
"""What an expression may read besides the item of a map."""


class BadExpression(Invalid):
    """An expression that cannot be compiled, or not be evaluated on the data at hand. `reason` is a sentence."""

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.reason,)  # it comes back from another process

    def __init__(self, reason: str) -> None:
        super().__init__(reason, field="expression", reason=reason)

    @property
    def reason(self) -> str:
        return self.message


def tree(expression: str) -> Tree:
    """Its syntax tree.

    Raises:
        BadExpression: it cannot be read.
    """
    return _compiled(expression, frozenset())[1]


def checked(expression: str, kinds: Mapping[str, Kind]) -> Kind:
    """The type of an expression, given those of what it reads; a name may be a path, as in `input.request`.

    Raises:
        BadExpression: it cannot be read, or puts things together that do not go together.
    """
    tree(expression)
    try:
        compiled = _environment(tuple(sorted(kinds.items()))).compile(without_tests(expression))
    except RuntimeError as error:
        raise BadExpression(sentence(str(error))) from None
    return str(compiled.return_type().name())


def evaluate(expression: str, data: Mapping[str, Any]) -> Any:
    """The value, as JSON has it. `data` is JSON by the names that may be read.

    Raises:
        BadExpression: it cannot be read, or not be evaluated on this data, or it would take too long.
    """
    compiled, parsed = _compiled(expression, frozenset(data))
    if units(parsed, data) <= FEW_UNITS:
        return _value(compiled, data)
    if units(parsed, data, sliced=True) > MOST_UNITS:
        raise BadExpression("it would take too much work on this much data: read less, or fewer items")
    try:
        return run_in_process(sliced_value, expression, dict(data))
    except WorkLimitExceeded:
        raise BadExpression("it took too much work on this much data: read less, or fewer items") from None


def sliced_value(expression: str, data: Mapping[str, Any]) -> Any:
    """The same for more work, with long lists gone through in slices. It may take seconds.

    Raises:
        BadExpression: as for `evaluate`.
    """
    program = _sliced(expression, frozenset(data))
    known, failed = dict(data), dict[str, BadExpression]()
    for loop in program.loops:
        try:
            known[loop.name] = _gathered(loop, known)
        except BadExpression as error:  # it counts if it is read: it may stand after a `has(…)`
            failed[loop.name] = _of_loop(error, failed)
    try:
        return _value(program.rest, known)
    except BadExpression as error:
        raise _of_loop(error, failed) from None


def _of_loop(error: BadExpression, failed: Mapping[str, BadExpression]) -> BadExpression:
    """Why a loop that was taken out has no value, if it is that which the complaint is about."""
    return next((why for name, why in failed.items() if error.reason.startswith(f"{name} ")), error)


def holds(expression: str, data: Mapping[str, Any]) -> bool:
    """Whether a condition is true.

    Raises:
        BadExpression: as for `evaluate`; or its value is neither true nor false.
    """
    value = evaluate(expression, data)
    if not isinstance(value, bool):
        raise BadExpression("a condition is true or false; this is neither")
    return value


def _gathered(loop: Gathering, data: Mapping[str, Any]) -> list[Any]:
    items = in_order(_plain(loop.over, data))
    if not isinstance(items, list):
        raise BadExpression("it goes through something that is no list")
    if len(items) > MOST_ROUNDS:
        raise BadExpression(sentence("Iteration budget exceeded"))
    slices = (items[at : at + SLICE] for at in range(0, len(items), SLICE))
    return [each for part in slices for each in _plain(loop.loop, {**data, loop.part: part})]


def _value(compiled: cel.Expression, data: Mapping[str, Any]) -> Any:
    return _json(_plain(compiled, data), 1)


def _plain(compiled: cel.Expression, data: Mapping[str, Any]) -> Any:
    try:
        value = compiled.eval(data=dict(data))
        plain = value.plain_value()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise BadExpression(sentence(str(error))) from None
    if value.type().name() in {"ERROR", "UNKNOWN"}:
        raise BadExpression(sentence(str(plain)))
    return plain


@lru_cache(maxsize=4096)
def _compiled(expression: str, names: frozenset[str]) -> tuple[cel.Expression, Tree]:
    if len(expression) > LONGEST_EXPRESSION:
        raise BadExpression(f"an expression has {LONGEST_EXPRESSION:,} characters at most")
    try:
        env = _loose(names)
        compiled = env.compile(expression, disable_check=True)
    except RuntimeError as error:
        raise BadExpression(sentence(str(error))) from None
    except TypeError:  # half of a pair of surrogates, which JSON can carry
        raise BadExpression("it is no text in Unicode") from None
    serialized = compiled.serialize()
    parsed = tree_of(serialized)
    if has_loops(parsed):
        with suppress(RuntimeError):  # the library compiles what is nested deeper than it can read again
            compiled = ordered(env, serialized)
    return compiled, parsed


@lru_cache(maxsize=256)
def _sliced(expression: str, names: frozenset[str]) -> Sliced:
    serialized = _loose(names).compile(expression, disable_check=True).serialize()
    try:
        return sliced(serialized, sorted(names | ROOTS))
    except RuntimeError:
        raise BadExpression("it is nested too deeply: make it of several") from None


@lru_cache(maxsize=256)
def _loose(names: frozenset[str]) -> cel.Env:
    return environment(dict.fromkeys(sorted(names | ROOTS), cel.Type.DYN))


@lru_cache(maxsize=64)
def _environment(kinds: tuple[tuple[str, Kind], ...]) -> cel.Env:
    return environment({name: cel_type(kind) for name, kind in kinds})


def _json(value: Any, depth: int) -> Any:  # noqa: PLR0911  (one return for each kind of value)
    if depth > DEEPEST:
        raise BadExpression(f"the value is nested more than {DEEPEST} deep")
    match value:
        case str():
            return _text(value)
        case None | bool() | int():
            return value
        case float():
            if not math.isfinite(value):
                raise BadExpression("the number is not finite")
            return value
        case list():
            return [_json(each, depth + 1) for each in value]
        case dict():
            return {key: _json(value[key], depth + 1) for key in sorted(map(_key, value))}
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
    raise BadExpression("the value is of a kind that JSON does not have")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise BadExpression("the keys of an object are texts")
    return _text(key)


def _text(text: str) -> str:
    if "\x00" in text:  # no store keeps it, and the library would cut the text off there when it reads it again
        raise BadExpression("a text holds the character U+0000")
    return text

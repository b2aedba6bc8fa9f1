"""Expressions in CEL: compiled, checked against declared types, evaluated within bounds. No I/O; every one ends.

An expression reads `input`, `nodes`, `context` and `visit`, and inside a map its item.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from domain.errors import Invalid
from domain.graphflow.complaints import sentence
from domain.graphflow.effort import MOST_UNITS, units
from domain.graphflow.kinds import Kind, cel_type
from domain.graphflow.lexing import without_tests
from domain.graphflow.syntax import Tree, tree_of
from domain.graphflow.work import LONGEST_EXPRESSION

ROOTS = frozenset({"input", "nodes", "context", "visit"})
"""What an expression may read besides the item of a map."""


class BadExpression(Invalid):
    """An expression that cannot be compiled, or not be evaluated on the data at hand. `reason` is a sentence."""

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
    if units(parsed, data) > MOST_UNITS:
        raise BadExpression("it would take too much work on this much data: read less, or fewer items")
    try:
        value = compiled.eval(data=dict(data))
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise BadExpression(sentence(str(error))) from None
    if value.type().name() in {"ERROR", "UNKNOWN"}:
        raise BadExpression(sentence(str(value.plain_value())))
    return _json(value.plain_value())


def holds(expression: str, data: Mapping[str, Any]) -> bool:
    """Whether a condition is true.

    Raises:
        BadExpression: as for `evaluate`; or its value is neither true nor false.
    """
    value = evaluate(expression, data)
    if not isinstance(value, bool):
        raise BadExpression("a condition is true or false; this is neither")
    return value


@lru_cache(maxsize=4096)
def _compiled(expression: str, names: frozenset[str]) -> tuple[cel.Expression, Tree]:
    if len(expression) > LONGEST_EXPRESSION:
        raise BadExpression(f"an expression has {LONGEST_EXPRESSION:,} characters at most")
    try:
        compiled = _loose(names).compile(expression, disable_check=True)
        return compiled, tree_of(compiled.serialize())
    except RuntimeError as error:
        raise BadExpression(sentence(str(error))) from None


@lru_cache(maxsize=256)
def _loose(names: frozenset[str]) -> cel.Env:
    return cel.NewEnv(variables=dict.fromkeys(sorted(names | ROOTS), cel.Type.DYN))


@lru_cache(maxsize=64)
def _environment(kinds: tuple[tuple[str, Kind], ...]) -> cel.Env:
    return cel.NewEnv(variables={name: cel_type(kind) for name, kind in kinds})


def _json(value: Any) -> Any:  # noqa: PLR0911  (one return for each kind of value)
    match value:
        case None | bool() | str():
            return value
        case int():
            return value
        case float():
            if not math.isfinite(value):
                raise BadExpression("the number is not finite")
            return value
        case list():
            return [_json(each) for each in value]
        case dict():
            return {_key(key): _json(each) for key, each in value.items()}
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case timedelta():
            return value.total_seconds()
    raise BadExpression("the value is of a kind that JSON does not have")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise BadExpression("the keys of an object are texts")
    return key

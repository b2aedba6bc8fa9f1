"""CEL expressions: compiled, checked against declared types, evaluated within limits. No I/O; all terminate.

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
from domain.graphflow.expressions.cost import FEW_UNITS, MOST_ROUNDS, MOST_UNITS, work_units
from domain.graphflow.expressions.error_messages import ErrorKind, translate
from domain.graphflow.expressions.programs import (
    SLICE,
    ExtractedLoop,
    SlicedProgram,
    environment,
    in_order,
    slice_loops,
    with_ordered_loops,
)
from domain.graphflow.expressions.syntax import Tree, has_loops, tree_of
from domain.graphflow.expressions.tokens import without_tests
from domain.graphflow.expressions.types import ValueType, cel_type
from domain.json_schema.depth import DEEPEST
from domain.separate_process import WorkLimitExceeded, run_in_process

ROOTS = frozenset({"input", "nodes", "context", "visit"})
"""The variables of an expression, besides the item of a map."""


class BadExpression(Invalid):
    """An expression that cannot be compiled, or not be evaluated on the given data. `reason` is a sentence.

    `kind` and `name` say what it is about, for programs.
    """

    def __reduce__(self) -> tuple[type[Self], tuple[str, ErrorKind, str | None]]:
        return type(self), (self.reason, self.kind, self.name)  # it is pickled by another process

    def __init__(self, reason: str, kind: ErrorKind = "other", name: str | None = None) -> None:
        super().__init__(reason, field="expression", reason=reason)
        self.kind: ErrorKind = kind
        self.name = name

    @classmethod
    def of(cls, error: str) -> Self:
        """Return the error for one of the CEL library's."""
        found = translate(error)
        return cls(found.text, found.kind, found.name)

    @property
    def reason(self) -> str:
        return self.message


def syntax_tree(expression: str) -> Tree:
    """Return the syntax tree.

    Raises:
        BadExpression: it cannot be parsed.
    """
    return _compile(expression, frozenset())[1]


def type_of(expression: str, kinds: Mapping[str, ValueType]) -> ValueType:
    """Return the type of an expression, given those of its variables; a name may be a path, as in `input.request`.

    Raises:
        BadExpression: it cannot be parsed, or combines incompatible types.
    """
    syntax_tree(expression)
    try:
        compiled = _typed_environment(tuple(sorted(kinds.items()))).compile(without_tests(expression))
    except RuntimeError as error:
        raise BadExpression.of(str(error)) from None
    return str(compiled.return_type().name())


def evaluate(expression: str, data: Mapping[str, Any]) -> Any:
    """Evaluate an expression to a JSON value. `data` are the variables, as JSON values.

    Raises:
        BadExpression: it cannot be parsed, or not be evaluated on this data, or it would take too long.
    """
    compiled, parsed = _compile(expression, frozenset(data))
    if work_units(parsed, data) <= FEW_UNITS:
        return _value(compiled, data)
    if work_units(parsed, data, sliced=True) > MOST_UNITS:
        raise BadExpression("it would take too much work on this much data: read less, or fewer items")
    try:
        return run_in_process(evaluate_in_slices, expression, dict(data))
    except WorkLimitExceeded:
        raise BadExpression("it took too much work on this much data: read less, or fewer items") from None


def evaluate_in_slices(expression: str, data: Mapping[str, Any]) -> Any:
    """Evaluate an expression that needs more work, with long lists processed in slices. It may take seconds.

    Raises:
        BadExpression: as for `evaluate`.
    """
    program = _slice(expression, frozenset(data))
    known, failed = dict(data), dict[str, BadExpression]()
    for loop in program.loops:
        try:
            known[loop.name] = _run_loop(loop, known)
        except BadExpression as error:  # raised only if the value is read: it may be guarded by `has(…)`
            failed[loop.name] = _error_of_loop(error, failed)
    try:
        return _value(program.rest, known)
    except BadExpression as error:
        raise _error_of_loop(error, failed) from None


def _error_of_loop(error: BadExpression, failed: Mapping[str, BadExpression]) -> BadExpression:
    """Return the error of an extracted loop if the expression's error is about its value."""
    return failed.get(error.name, error) if error.kind == "unknown_name" and error.name else error


def is_true(expression: str, data: Mapping[str, Any]) -> bool:
    """Return True if a condition is true.

    Raises:
        BadExpression: as for `evaluate`; or its value is not a boolean.
    """
    value = evaluate(expression, data)
    if not isinstance(value, bool):
        raise BadExpression("a condition is true or false; this is neither")
    return value


def _run_loop(loop: ExtractedLoop, data: Mapping[str, Any]) -> list[Any]:
    items = in_order(_plain(loop.over, data))
    if not isinstance(items, list):
        raise BadExpression("it iterates over a value that is not a list")
    if len(items) > MOST_ROUNDS:
        raise BadExpression.of("Iteration budget exceeded")
    slices = (items[at : at + SLICE] for at in range(0, len(items), SLICE))
    return [each for part in slices for each in _plain(loop.loop, {**data, loop.part: part})]


def _value(compiled: cel.Expression, data: Mapping[str, Any]) -> Any:
    return _json(_plain(compiled, data), 1)


def _plain(compiled: cel.Expression, data: Mapping[str, Any]) -> Any:
    try:
        value = compiled.eval(data=dict(data))
        plain = value.plain_value()
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise BadExpression.of(str(error)) from None
    if value.type().name() in {"ERROR", "UNKNOWN"}:
        raise BadExpression.of(str(plain))
    return plain


@lru_cache(maxsize=4096)
def _compile(expression: str, names: frozenset[str]) -> tuple[cel.Expression, Tree]:
    if len(expression) > LONGEST_EXPRESSION:
        raise BadExpression(f"an expression has {LONGEST_EXPRESSION:,} characters at most", "too_large")
    try:
        env = _untyped_environment(names)
        compiled = env.compile(expression, disable_check=True)
    except RuntimeError as error:
        raise BadExpression.of(str(error)) from None
    except TypeError:  # half of a pair of surrogates, which JSON can carry
        raise BadExpression("it is no text in Unicode") from None
    serialized = compiled.serialize()
    parsed = tree_of(serialized)
    if has_loops(parsed):
        with suppress(RuntimeError):  # the library can compile deeper nesting than it can deserialize
            compiled = with_ordered_loops(env, serialized)
    return compiled, parsed


@lru_cache(maxsize=256)
def _slice(expression: str, names: frozenset[str]) -> SlicedProgram:
    serialized = _untyped_environment(names).compile(expression, disable_check=True).serialize()
    try:
        return slice_loops(serialized, sorted(names | ROOTS))
    except RuntimeError:
        raise BadExpression("it is nested too deeply: split it into several", "too_large") from None


@lru_cache(maxsize=256)
def _untyped_environment(names: frozenset[str]) -> cel.Env:
    return environment(dict.fromkeys(sorted(names | ROOTS), cel.Type.DYN))


@lru_cache(maxsize=64)
def _typed_environment(kinds: tuple[tuple[str, ValueType], ...]) -> cel.Env:
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
    raise BadExpression("the value is of a type that JSON does not have")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise BadExpression("the keys of an object have to be texts")
    return _text(key)


def _text(text: str) -> str:
    if "\x00" in text:  # no store keeps it, and the library would truncate the text there
        raise BadExpression("a text contains the character U+0000")
    return text

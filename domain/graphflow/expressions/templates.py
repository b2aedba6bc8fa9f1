"""Templates: texts and values with `{{ expression }}` in them, and the paths that expressions read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from domain.graphflow.expressions import cel as expressions
from domain.graphflow.expressions.cel import BadExpression
from domain.graphflow.expressions.cost import path_of
from domain.graphflow.expressions.syntax import LoopExpr, SelectExpr, Tree, children
from domain.graphflow.expressions.tokens import end_of_expression

LONGEST_RESULT = 1_000_000
"""Limit on the result of a template, in characters."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """An expression in a template."""

    expression: str


@dataclass(frozen=True, slots=True)
class Reference:
    """A path that an expression reads, as in `("nodes", "draft", "output", "score")`.

    `tested`: it is only an argument of `has`. `guarded`: the expression tests it with `has` elsewhere.
    """

    path: tuple[str, ...]
    tested: bool = False
    guarded: bool = False


@lru_cache(maxsize=4096)
def split_template(template: str) -> tuple[str | Placeholder, ...]:
    """Return the fixed texts and the expressions of a template, in order.

    Raises:
        BadExpression: a `{{` is not closed.
    """
    found: list[str | Placeholder] = []
    at = 0
    while (start := template.find("{{", at)) >= 0:
        end = end_of_expression(template, start + 2)
        if end is None:
            raise BadExpression(f"the {{{{ at character {start + 1} is not closed")
        found += [template[at:start], Placeholder(template[start + 2 : end].strip())]
        at = end + 2
    return tuple(piece for piece in (*found, template[at:]) if piece != "")


def expressions_in(value: Any) -> Iterator[str]:
    """Yield the expressions in a template, or in the templates inside a value.

    Raises:
        BadExpression: a `{{` is not closed.
    """
    if isinstance(value, str):
        yield from (piece.expression for piece in split_template(value) if isinstance(piece, Placeholder))
    elif isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from expressions_in(each)


def render(template: str, data: Mapping[str, Any]) -> str:
    """Render a template: values other than texts are written as JSON.

    Raises:
        BadExpression: an expression cannot be evaluated (the message names it), or the text would be too long.
    """
    parts = [piece if isinstance(piece, str) else _text(_value(piece, data)) for piece in split_template(template)]
    if sum(map(len, parts)) > LONGEST_RESULT:
        raise BadExpression(f"the text would have more than {LONGEST_RESULT:,} characters")
    return "".join(parts)


def fill(value: Any, data: Mapping[str, Any]) -> Any:
    """Render the templates in a value; a text that consists of one expression is replaced by its value.

    Raises:
        BadExpression: as for `rendered`.
    """
    if isinstance(value, Mapping):
        return {key: fill(each, data) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [fill(each, data) for each in value]
    if not isinstance(value, str):
        return value
    match split_template(value):
        case (Placeholder() as hole,):
            return _value(hole, data)
    return render(value, data)


def references(expression: str) -> tuple[Reference, ...]:
    """Return the paths that an expression reads, each once.

    Raises:
        BadExpression: it cannot be parsed.
    """
    found = dict.fromkeys(_reads(expressions.syntax_tree(expression), frozenset()))
    tests = [path for path, tested in found if tested]
    return tuple(
        Reference(path, tested=tested, guarded=not tested and any(path[: len(test)] == test for test in tests))
        for path, tested in found
    )


def references_in(value: Any) -> tuple[Reference, ...]:
    """Return the paths that the templates inside a value read.

    Raises:
        BadExpression: an expression cannot be parsed.
    """
    return tuple(dict.fromkeys(one for expression in expressions_in(value) for one in references(expression)))


def _reads(tree: Tree, local: frozenset[str]) -> Iterator[tuple[tuple[str, ...], bool]]:
    if isinstance(tree, SelectExpr) and tree.test and (path := path_of(tree.operand)):
        if path[0] not in local:
            yield (*path, tree.field), True
    elif path := path_of(tree):
        if path[0] not in local:
            yield path, False
    elif isinstance(tree, LoopExpr):
        yield from _reads(tree.over, local)
        yield from (read for part in tree.body for read in _reads(part, local | {*tree.names}))
    else:
        yield from (read for part in children(tree) for read in _reads(part, local))


def _value(hole: Placeholder, data: Mapping[str, Any]) -> Any:
    try:
        return expressions.evaluate(hole.expression, data)
    except BadExpression as error:
        raise BadExpression(f"{{{{ {hole.expression[:80]} }}}}: {error.reason}") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

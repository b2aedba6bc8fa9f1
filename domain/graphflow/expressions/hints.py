"""Advice about an expression that cannot be parsed or checked, by the syntax that users of other languages try."""

import re
from collections.abc import Mapping

from domain.graphflow.expressions.error_messages import ErrorKind
from domain.graphflow.expressions.tokens import words_of

_OF_TYPES = "Compare and join values of one type; string(…), int(…) and double(…) convert"
_OF_NAMES = "An expression reads input, nodes, context and visit, and inside a map its item"
_OF_LENGTH = "Make it of several: a transform before it can work out a part"
_OF_SYNTAX = "Write it as CEL has it: &&, ||, !, ==, != and a ? b : c; texts stand in quotes"

_WORDS: Mapping[str, str] = {
    "and": "Write && for and",
    "or": "Write || for or",
    "not": "Write ! for not, as in !input.done",
    "is": "Write == for is",
    "if": "Write condition ? one : other",
    "then": "Write condition ? one : other",
    "else": "Write condition ? one : other",
    "for": "Write list.map(x, …) or list.filter(x, …)",
    "None": "Write null",
    "undefined": "Ask has(…) whether it is there",
    "True": "Write true",
    "False": "Write false",
}
_SIGNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\{\{|\}\}"), "Leave the {{ }} out: this field is an expression already"),
    (re.compile(r"\$\{"), "Leave the ${ } out: this field is an expression already"),
    (re.compile(r"==="), "Write == for ==="),
    (re.compile(r"!=="), "Write != for !=="),
    (re.compile(r"<>"), "Write != for <>"),
    (re.compile(r"\?\?"), "Write has(a.b) ? a.b : c for a.b ?? c"),
    (re.compile(r"\?\."), "Write has(a.b) ? a.b : c instead of ?."),
    (re.compile(r"=>|\blambda\b"), "Write list.map(x, …) or list.filter(x, …)"),
    (re.compile(r"[“”‘’]"), "Write straight quotes, as in 'text'"),  # noqa: RUF001  (what word processors make)
    (re.compile(r"&(?<!&&)(?!&)"), "Write && for &"),
    (re.compile(r"\|(?<!\|\|)(?!\|)"), "Write || for |"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "Write == to compare"),
)


def hint(expression: str, kind: ErrorKind, name: str | None = None) -> str:
    """Return advice for an expression with an error of this kind; `name` is the one that is not known."""
    match kind:
        case "unknown_name":
            return _WORDS.get(name or "", _OF_NAMES)
        case "syntax":
            bare = words_of(expression)
            sign = next((fix for pattern, fix in _SIGNS if pattern.search(bare)), None)
            return sign or next((fix for word, fix in _WORDS.items() if word in bare.split()), _OF_SYNTAX)
        case "too_large":
            return _OF_LENGTH
        case _:
            return _OF_TYPES

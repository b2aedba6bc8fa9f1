"""Advice about an expression that cannot be parsed or checked, by the syntax that users of other languages try."""

import re
from collections.abc import Mapping

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


def hint(expression: str, complaint: str) -> str:
    """Return advice for an expression and its error message, one of `error_messages`, or an empty text."""
    bare = words_of(expression)
    if "is not known here" in complaint:
        return next((fix for word, fix in _WORDS.items() if complaint.startswith(f"{word} ")), _OF_NAMES)
    if "cannot be read" in complaint or "reserved identifier" in complaint:
        sign = next((fix for pattern, fix in _SIGNS if pattern.search(bare)), None)
        return sign or next((fix for word, fix in _WORDS.items() if word in bare.split()), _OF_SYNTAX)
    if "nested too deeply" in complaint or "characters at most" in complaint:
        return _OF_LENGTH
    return _OF_TYPES

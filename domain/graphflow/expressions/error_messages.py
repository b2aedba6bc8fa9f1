"""Translates the CEL library's errors for people."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

ErrorKind = Literal["syntax", "unknown_name", "missing_key", "types", "too_large", "too_much_work", "other"]


@dataclass(frozen=True, slots=True)
class ExpressionError:
    """An error in short: a sentence for people, its kind, and the `name` that an unknown name or a missing key has."""

    text: str
    kind: ErrorKind = "other"
    name: str | None = None


_Translate = Callable[[re.Match[str]], ExpressionError]


def translate(error: str) -> ExpressionError:
    """Return the library's error in short, with its character position if the library reports it."""
    return next((make(found) for pattern, make in _TRANSLATIONS if (found := pattern.search(error))), _other(error))


def _with_position(found: re.Match[str]) -> ExpressionError:
    placed = next(
        (make(inner) for pattern, make in _POSITIONED if (inner := pattern.search(found[2]))), _other(found[2])
    )
    return replace(placed, text=f"{placed.text}, at character {found[1]}")


def _overload(found: re.Match[str]) -> ExpressionError:
    operator = re.match(r"^_?([^_\w]+|in)_?$", found[1])
    name = operator[1] if operator else found[1].strip("_@")
    return ExpressionError(f"{name} does not go with ({found[2]})", "types")


def _unknown(found: re.Match[str]) -> ExpressionError:
    return ExpressionError(f"{found[1]} is not known here", "unknown_name", found[1])


def _other(error: str) -> ExpressionError:
    return ExpressionError(re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", error.split("\n", maxsplit=1)[0])[:300])


def _reserved_word(found: re.Match[str]) -> ExpressionError:
    return replace(_other(found.string), kind="syntax")


_POSITIONED: tuple[tuple[re.Pattern[str], _Translate], ...] = (
    (re.compile(r"no matching overload for '([^']+)' applied to '\((.*)\)'"), _overload),
    (re.compile(r"undeclared reference to '([^']+)'"), _unknown),
    (re.compile(r"reserved identifier"), _reserved_word),
    (
        re.compile(r"Syntax error: (.*?)(?: expecting |$)"),
        lambda found: ExpressionError(f"it cannot be read ({found[1]})", "syntax"),
    ),
)
_TRANSLATIONS: tuple[tuple[re.Pattern[str], _Translate], ...] = (
    (
        re.compile(r"Iteration budget exceeded"),
        lambda _: ExpressionError("it goes through more than 10,000 items in all", "too_much_work"),
    ),
    (re.compile(r"recursion"), lambda _: ExpressionError("it is nested too deeply", "too_large")),
    (
        re.compile(r'Key not found in map : "?([^"\]]+)'),
        lambda found: ExpressionError(f"there is no {found[1]}: guard it with has(…)", "missing_key", found[1]),
    ),
    (re.compile(r"ERROR: <input>:-?\d+:(-?\d+): (.*)"), _with_position),
    (re.compile(r'No value with name "([^"]+)"'), _unknown),
    (re.compile(r"No matching overloads found : ([^\s(]{1,64})\((.{0,300})\)"), _overload),
)

"""Translates the CEL library's errors for people."""

import re
from collections.abc import Callable

_Say = Callable[[re.Match[str]], str]


def sentence(error: str) -> str:
    """Return the error in a short sentence, with its character position if the library reports it."""
    return next((say(found) for pattern, say in _SAYINGS if (found := pattern.search(error))), _rest(error))


def _placed(found: re.Match[str]) -> str:
    complaint = next((say(inner) for pattern, say in _PLACED if (inner := pattern.search(found[2]))), _rest(found[2]))
    return f"{complaint}, at character {found[1]}"


def _overload(found: re.Match[str]) -> str:
    operator = re.match(r"^_?([^_\w]+|in)_?$", found[1])
    return f"{operator[1] if operator else found[1].strip('_@')} does not go with ({found[2]})"


def _rest(error: str) -> str:
    return re.sub(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$", "", error.split("\n", maxsplit=1)[0])[:300]


_PLACED: tuple[tuple[re.Pattern[str], _Say], ...] = (
    (re.compile(r"no matching overload for '([^']+)' applied to '\((.*)\)'"), _overload),
    (re.compile(r"undeclared reference to '([^']+)'"), lambda found: f"{found[1]} is not known here"),
    (re.compile(r"Syntax error: (.*?)(?: expecting |$)"), lambda found: f"it cannot be read ({found[1]})"),
)
_SAYINGS: tuple[tuple[re.Pattern[str], _Say], ...] = (
    (re.compile(r"Iteration budget exceeded"), lambda _: "it goes through more than 10,000 items in all"),
    (re.compile(r"recursion"), lambda _: "it is nested too deeply"),
    (re.compile(r'Key not found in map : "?([^"\]]+)'), lambda found: f"there is no {found[1]}: guard it with has(…)"),
    (re.compile(r"ERROR: <input>:-?\d+:(-?\d+): (.*)"), _placed),
    (re.compile(r'No value with name "([^"]+)"'), lambda found: f"{found[1]} is not known here"),
    (re.compile(r"No matching overloads found : ([^\s(]{1,64})\((.{0,300})\)"), _overload),
)

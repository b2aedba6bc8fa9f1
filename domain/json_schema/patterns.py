"""Upper bounds of a regular expression's work for each character, and of its memory."""

import re
from math import prod

LARGEST = 350_000
"""Limit on states: patterns with more are not compiled by the matchers in use."""

_UNICODE = 1_000
_CLASS = 20
_CLASSES = re.compile(r"\\[WDSB]|\[\^|\.")
_COUNT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")


def weight(pattern: str) -> int:
    """Return the most states that a matcher without backtracking can be in at once."""
    return min(LARGEST, (len(pattern) + 1) * _repeats(pattern))


def size(pattern: str) -> int:
    """Return the most memory of the compiled pattern, in units of one plain character.

    A Unicode class (a backslash and p) takes some fifty KiB wherever it occurs, a negated class about one.
    """
    classes = _UNICODE * pattern.lower().count("\\p") + _CLASS * len(_CLASSES.findall(pattern))
    is_folded = "(?" in pattern and "i" in pattern
    return (len(pattern) + 1 + classes) * _repeats(pattern) * (4 if is_folded else 1)


def _repeats(pattern: str) -> int:
    counts = [max(1, int(most or least)) for least, most in _COUNT.findall(pattern)]
    return prod(counts)

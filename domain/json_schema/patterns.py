"""How much a regular expression can be: of work for each character that it is matched with, and of memory."""

import re
from math import prod

LARGEST = 350_000
"""States: what has more of them is not compiled by the matchers in use."""

_UNICODE = 1_000
_CLASS = 20
_CLASSES = re.compile(r"\\[WDSB]|\[\^|\.")
_COUNT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")


def weight(pattern: str) -> int:
    """The most states that a matcher which does not go back can be in at once."""
    return min(LARGEST, (len(pattern) + 1) * _repeats(pattern))


def size(pattern: str) -> int:
    """The most memory that it takes once it is compiled, in that of one plain character.

    A class of Unicode's (a backslash and p) is some fifty KiB wherever it stands, one of all but a few characters one.
    """
    classes = _UNICODE * pattern.lower().count("\\p") + _CLASS * len(_CLASSES.findall(pattern))
    is_folded = "(?" in pattern and "i" in pattern
    return (len(pattern) + 1 + classes) * _repeats(pattern) * (4 if is_folded else 1)


def _repeats(pattern: str) -> int:
    counts = [max(1, int(most or least)) for least, most in _COUNT.findall(pattern)]
    return prod(counts)

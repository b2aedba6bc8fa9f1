"""How much work a regular expression can be for each character that it is matched with."""

import re
from math import prod

LARGEST = 350_000
"""States: what has more of them is not compiled by the matchers in use."""

_COUNT = re.compile(r"\{(\d{1,9})(?:,(\d{0,9}))?\}")


def weight(pattern: str) -> int:
    """The most states that a matcher which does not go back can be in at once."""
    counts = [max(1, int(most or least)) for least, most in _COUNT.findall(pattern)]
    return min(LARGEST, (len(pattern) + 1) * prod(counts))

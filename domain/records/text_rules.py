"""Rules for texts of people that several records have, as validators: each returns the text, or raises ValueError."""

import re
import unicodedata

from domain.records.documents import fold_text

MAX_EMAIL = 254
MAX_COMBINING = 30
"""Limit on combining characters in a row (as in the stream-safe format of Unicode): normalizing is quadratic in it."""
MAX_GROWTH = 4
"""Limit on how many times longer a folded text may be."""

_ALLOWANCE = 100
_MAX_LOCAL = 64
_ADDRESS = re.compile(r"(?P<local>[^@]+)@(?P<domain>[^@.]+(?:\.[^@.]+)*)")
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}
"""Unicode categories of characters that cannot be seen: with them, two addresses that look alike would differ."""


def foldable(text: str) -> str:
    """Return the text if it can be folded in time and space that are in proportion to its length."""
    if text.isascii():
        return text
    row = 0
    for character in text:
        row = row + 1 if unicodedata.combining(character) else 0
        if row > MAX_COMBINING:
            raise ValueError(f"has more than {MAX_COMBINING} combining characters in a row")
    if len(fold_text(text)) > MAX_GROWTH * len(text) + _ALLOWANCE:
        raise ValueError("has too many characters that stand for several others")
    return text


def one_line(text: str) -> str:
    """Return the text if it is one line with something in it."""
    if not text.strip():
        raise ValueError("must not be blank")
    if len(text.splitlines()) > 1:
        raise ValueError("must be one line")
    return foldable(text)


def email_address(text: str) -> str:
    """Return the text if its folded form is an e-mail address. Letters of all languages are accepted."""
    folded = fold_text(foldable(text))
    if any(unicodedata.category(character) in _UNSEEN for character in folded):
        raise ValueError("contains a space or an invisible character")
    found = _ADDRESS.fullmatch(folded)
    if found is None or len(folded) > MAX_EMAIL or len(found["local"]) > _MAX_LOCAL:
        raise ValueError("is not an e-mail address")
    return text

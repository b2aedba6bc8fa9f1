"""Names that people give to things: when two are the same, and what of them can stand in an id."""

import re
import unicodedata
from hashlib import sha256

_OTHER = re.compile(r"[^a-z0-9]+")


def folded(name: str) -> str:
    """Names that look the same are the same: whatever their case, spacing or way of encoding."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def plain(name: str) -> str:
    """The name's letters and digits, small, with underscores between; eight hex digits where it has none of ASCII."""
    words = _OTHER.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()).strip("_")
    return words or sha256(folded(name).encode()).hexdigest()[:8]

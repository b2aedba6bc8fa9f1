"""Names that people give: their equality, and their derived ids."""

import re
import unicodedata
from hashlib import sha256

_OTHER = re.compile(r"[^a-z0-9]+")


def fold_name(name: str) -> str:
    """Normalize a name, so that names that look the same are equal: whatever their case, spacing or encoding."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def id_part(name: str) -> str:
    """Return the name's letters and digits in lower case, joined by underscores; eight hex digits if none is ASCII."""
    words = _OTHER.sub("_", unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()).strip("_")
    return words or sha256(fold_name(name).encode()).hexdigest()[:8]

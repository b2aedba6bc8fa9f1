"""Embeddings of the scripted provider: a direction for each word, so that texts with the same words are near."""

import re
from hashlib import sha256

DIMENSIONS = 64
_WORD = re.compile(r"\w+")


def embedding(text: str) -> list[float]:
    """The sum of the directions of the text's words, and a little of one that all texts share."""
    values = [0.01] * DIMENSIONS
    for word in _WORD.findall(text.lower()):
        digest = sha256(word.encode()).digest()
        values[digest[0] % DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
    return values

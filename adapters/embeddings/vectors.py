"""Vectors of length 1, whose inner product is their cosine."""

import math
from collections.abc import Sequence

from domain.knowledge.ports import Vector


def unit(vector: Sequence[float]) -> Vector:
    """Return the vector in its direction with length 1.

    Raises:
        ValueError: it has no direction, or no finite length.
    """
    length = math.sqrt(math.fsum(value * value for value in vector))
    if not 0 < length < math.inf:
        raise ValueError("a vector has no direction")
    return [value / length for value in vector]

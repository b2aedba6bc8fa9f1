"""Sketches of distributions: counts in buckets whose bounds grow by a factor, so that sketches add up exactly.

It is the logarithmic mapping of DDSketch. A value v > `SMALLEST` is in the bucket ceil(log v / log GAMMA); a quantile
is answered with the bucket's middle, which differs from the true value by `RELATIVE_ERROR` of it at most.
"""

from collections.abc import Iterable, Sequence
from math import ceil, log
from typing import NamedTuple

RELATIVE_ERROR = 0.01
GAMMA = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
SMALLEST = 0.001
"""Values up to this one are counted as zero."""
ZERO_BUCKET = -32_768
"""The bucket of zero: below all others, within 16 bits."""

_LOG_GAMMA = log(GAMMA)


class Sketch(NamedTuple):
    """Buckets, ascending, and the number of values in each."""

    buckets: Sequence[int]
    counts: Sequence[int]


EMPTY = Sketch((), ())


def bucket_of(value: float) -> int:
    """Return the bucket of a value that is not negative."""
    return ZERO_BUCKET if value <= SMALLEST else ceil(log(value) / _LOG_GAMMA)


def sketch_of(values: Iterable[float]) -> Sketch:
    """Return the sketch of these values."""
    counts: dict[int, int] = {}
    for value in values:
        bucket = bucket_of(value)
        counts[bucket] = counts.get(bucket, 0) + 1
    buckets = sorted(counts)
    return Sketch(buckets, [counts[bucket] for bucket in buckets])


def quantile(sketch: Sketch, share: float) -> float | None:
    """Return the value that `share` of all values do not exceed; None for none.

    It is the value of rank ceil(share * n), the smallest one for a share of zero.
    """
    total = sum(sketch.counts)
    if not total:
        return None
    rank, seen = max(1, ceil(share * total)), 0
    for bucket, count in zip(sketch.buckets, sketch.counts, strict=True):
        seen += count
        if seen >= rank:
            return _middle(bucket)
    return _middle(sketch.buckets[-1])


def _middle(bucket: int) -> float:
    return 0.0 if bucket == ZERO_BUCKET else 2 * GAMMA**bucket / (GAMMA + 1)

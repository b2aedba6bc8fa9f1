"""Classes of requests, and logarithmic buckets of their durations."""

from math import ceil, floor, log
from typing import Literal

RequestClass = Literal["read", "write", "model", "stream"]
"""`model` requests wait for a model's answer, `stream` ones stay open; the others take the platform's own time."""
TIMED: tuple[RequestClass, ...] = ("read", "write")
"""The classes whose durations are measured against the objective."""

GROWTH = 1.1
"""Ratio of the bounds of neighbouring buckets: a duration read from a bucket is at most 5 % off."""
_SHORTEST_S = 1e-4
_LONGEST_S = 86_400.0
_UNCOUNTED = ("/health", "/metrics", "/docs", "/redoc", "/openapi.json", "unmatched")
_MODEL = frozenset(
    {
        "/api/v1/agents/chat",
        "/api/v1/agents/ali/query",
        "/api/v1/agents/ali/coordinate",
        "/api/v1/workflows/generate",
    }
)


def classify(route: str, method: str) -> RequestClass | None:
    """Return the class of a request by its route's template; None where it is not counted.

    Probes, metrics, documentation, and paths of no route are not counted.
    """
    if route.startswith(_UNCOUNTED):
        return None
    if route.endswith("/stream"):
        return "stream"
    if method in {"GET", "HEAD", "OPTIONS"}:
        return "read"
    return "model" if route in _MODEL else "write"


def bucket_of(seconds: float) -> int:
    """Return the bucket of a duration: bucket n holds those above 1.1^(n-1) and up to 1.1^n seconds."""
    return ceil(log(min(max(seconds, _SHORTEST_S), _LONGEST_S), GROWTH) - 1e-9)


def seconds_of(bucket: int) -> float:
    """Return the middle of a bucket, in seconds."""
    return float(GROWTH ** (bucket - 0.5))


def last_bucket_within(seconds: float) -> int:
    """Return the last bucket that only holds durations up to `seconds`."""
    return floor(log(seconds, GROWTH) + 1e-9)

"""The limit on the nesting of values: deeper ones break the libraries that write JSON and evaluate expressions."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 200
"""Limit on values from outside, and values made of them. The JSON writer's own limit is 254."""


def is_too_deep(value: Any, most: int = DEEPEST) -> bool:
    """Return True if lists and objects are nested more than `most` deep."""
    level, inside = 0, [value]
    while inside:
        level += 1
        if level > most:
            return True
        inside = [part for each in inside for part in _parts(each) if isinstance(part, Mapping | list | tuple)]
    return False


def _parts(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()

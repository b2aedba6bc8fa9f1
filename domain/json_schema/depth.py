"""How deep values may be nested: what is deeper breaks the libraries that write JSON and evaluate expressions."""

from collections.abc import Mapping
from typing import Any

DEEPEST = 200
"""Of any value that comes from outside or is made of such values. The writer of JSON stops at 254."""


def is_too_deep(value: Any, most: int = DEEPEST) -> bool:
    """Whether lists and objects stand inside each other more than so many deep."""
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

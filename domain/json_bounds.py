"""Bounds of JSON that a client sends: its depth, and characters that cannot be stored."""

import re
from typing import Any

_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_CONTAINERS = (dict, list)


def is_text_deeper(body: bytes, limit: int) -> bool:
    """Return true if the text of a JSON document nests arrays and objects deeper than the limit, without parsing it."""
    depth = 0
    for found in _BRACKETS.finditer(body):
        first = found.group()[0]
        depth += 1 if first in b"[{" else -1 if first in b"]}" else 0
        if depth > limit:
            return True
    return False


def is_deeper(value: Any, limit: int) -> bool:
    """Return true if arrays and objects are nested deeper than the limit; looked at level by level."""
    level = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(limit):
        if not level:
            return False
        level = [
            part
            for each in level
            for part in (each.values() if isinstance(each, dict) else each)
            if isinstance(part, _CONTAINERS)
        ]
    return bool(level)


def find_nul(value: Any) -> str | None:
    """Return the path of the first text with a NUL, such as `context.user_id`. The value bounds the recursion."""
    if isinstance(value, str):
        return "" if "\0" in value else None
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        if isinstance(name, str) and "\0" in name:
            return name.replace("\0", "\\u0000")
        if (where := find_nul(part)) is not None:
            return f"{name}.{where}" if where else str(name)
    return None

"""Canonical JSON (RFC 8785), the text that a checksum is made of.

Integers beyond 53 bits, which RFC 8785 does not know, are written with all their digits.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

_EXACT = 2**53 - 1
_LONGEST = 21
"""Digits before the point up to which a number is written without an exponent."""
_SMALLEST = -6


def canonical_json(value: Any) -> str:
    """Return the canonical text of a JSON value: object keys in order, no spaces, numbers as ECMAScript writes them."""
    return "".join(_parts(value))


def _parts(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield "{"
            for place, name in enumerate(sorted(value, key=_utf16)):
                yield f"{',' if place else ''}{_text(name)}:"
                yield from _parts(value[name])
            yield "}"
        case list():
            yield "["
            for place, item in enumerate(value):
                yield "," if place else ""
                yield from _parts(item)
            yield "]"
        case str():
            yield _text(value)
        case bool() | None:
            yield json.dumps(value)
        case _:
            yield _number(value)


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be")


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) > _EXACT:
        return str(value)
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    written = "".join(map(str, digits)).lstrip("0")
    significant = written.rstrip("0")
    if not significant:
        return "0"
    point = len(written) + int(exponent)
    return f"{'-' if sign else ''}{_place_point(significant, point)}"


def _place_point(digits: str, point: int) -> str:
    """Return the digits with the decimal point after `point` of them, with an exponent where that is long."""
    if len(digits) <= point <= _LONGEST:
        return digits.ljust(point, "0")
    if 0 < point <= _LONGEST:
        return f"{digits[:point]}.{digits[point:]}"
    if _SMALLEST < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"

"""Protobuf messages as their fields, parsed and serialized: as much as it takes to go through an expression."""

from collections.abc import Iterable

Field = tuple[int, int, bytes]
"""A field's number, its wire type, and its value as it stands there (without the length of a text)."""

_VARINT, _EIGHT, TEXT = 0, 1, 2


def parse(data: bytes) -> list[Field]:
    """The fields of one message, in their order.

    Raises:
        ValueError: a field is of a kind that no expression has.
    """
    fields: list[Field] = []
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        start = at
        match tag & 7:
            case 0:
                _, at = varint(data, at)
            case 1:
                at += 8
            case 2:
                size, start = varint(data, at)
                at = start + size
            case kind:
                raise ValueError(f"wire type {kind} is not part of an expression")
        fields.append((tag >> 3, tag & 7, data[start:at]))
    return fields


def serialize(fields: Iterable[Field]) -> bytes:
    """The message with these fields."""
    out = bytearray()
    for number, kind, value in fields:
        out += _varint(number << 3 | kind)
        if kind == TEXT:
            out += _varint(len(value))
        out += value
    return bytes(out)


def message(number: int, *fields: Field) -> Field:
    """A field that is a message of these fields."""
    return number, TEXT, serialize(fields)


def text(number: int, value: str) -> Field:
    """A field that is a text."""
    return number, TEXT, value.encode()


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that stands there, and where the next thing begins."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:  # noqa: PLR2004  (the sign that another byte follows)
            return value, at


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  (what one byte holds)
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))

"""Values of runs as stored texts."""

import re
from typing import Any

import orjson

from domain.graphflow.expressions.cel import BadExpression

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(text: str) -> str:
    """Remove U+0000 from the texts of a JSON document: no store keeps it, and expressions would truncate at it."""
    return _NUL.sub(r"\1", text) if r"\u0000" in text else text


def json_text(value: Any) -> str:
    """Encode a value as JSON.

    Raises:
        BadExpression: it is nested too deeply, or contains a value that JSON does not have.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise BadExpression(f"the value cannot be written as JSON ({error})") from None

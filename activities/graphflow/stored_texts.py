"""Values of runs as texts that are stored."""

import re
from typing import Any

import orjson

from domain.graphflow.expressions.cel import BadExpression

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def without_nul(text: str) -> str:
    """JSON without U+0000 in its texts, which no store keeps and at which expressions would cut them off."""
    return _NUL.sub(r"\1", text) if r"\u0000" in text else text


def json_text(value: Any) -> str:
    """A value as JSON.

    Raises:
        BadExpression: it is nested too deeply, or holds what JSON does not have.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise BadExpression(f"the value cannot be written as JSON ({error})") from None

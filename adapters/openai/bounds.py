"""Bounds and coercions: nothing a provider says goes on before it has passed here.

What is kept of an answer must fit an event, a row and a prompt, whatever its provider made of the protocol.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson

MAX_EVENT_BYTES = 4 * 2**20
MAX_BODY_BYTES = 16 * 2**20
"""Of an answer that comes in one piece."""
MAX_ANSWER_BYTES = 2 * 2**20
"""UTF-8 bytes of text and arguments that are kept of an answer; what is longer ends there, as if cut by its cap."""
MAX_STREAM_BYTES = 256 * 2**20
"""Bytes of a whole stream, frames and thoughts included; none of it is held longer than its event."""
MAX_EXTRA_BYTES = 256 * 2**10
"""JSON bytes of a message's other fields; longer ones are not kept, since a part of a signature is worth nothing."""
MAX_NAME = 200
MAX_TOOL_ID = 16 * 2**10
"""Some gateways hide a signature in the id of a tool's call."""
MOST_REQUESTS = 64
MOST_TOKENS = 10_000_000
"""A count above this is not one: no model has a window this large."""
_MAX_DIGITS = 20


def parse(data: bytes) -> Any:
    """JSON, also where strict readers refuse it: halves of surrogate pairs, bytes that are no UTF-8, NaN, raw controls.

    Halves stand in the strings as they came, so that `mend` can join them with what follows.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data.decode(errors="surrogateescape"), parse_int=_integer, strict=False)
    except RecursionError as fault:
        raise ValueError("it is nested too deep") from fault


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def mend(text: str) -> str:
    """The text with halves of characters joined, and without what neither JSON nor a database can hold."""
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
            escaped = "surrogateescape" if _holds_bytes(joined) else "replace"
            text = joined.encode(errors=escaped).decode(errors="replace")
    return text.replace("\x00", "")


def _holds_bytes(text: str) -> bool:
    """Return true if its only lone halves stand for bytes that were no UTF-8 by themselves."""
    return all("\udc80" <= char <= "\udcff" for char in text if "\ud800" <= char <= "\udfff")


def size_of(text: str) -> int:
    """UTF-8 bytes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def name_from(value: Any, *, most: int = MAX_NAME) -> str | None:
    """A short text such as an id: also a number is one. None where there is nothing that names."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return mend(str(value)[:most]) or None


def count_from(value: Any) -> int | None:
    """A count of tokens, also as text or a whole float; None where it cannot be one."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(number) if 0 <= number <= MOST_TOKENS else None


def object_from(value: Any) -> Mapping[str, Any]:
    """The object, or an empty one where it is something else."""
    return value if isinstance(value, dict) else {}


def storable_json(value: Any, *, most: int = MAX_EXTRA_BYTES) -> Any:
    """JSON that can be stored and sent again as it came; None where it cannot."""
    try:
        written = orjson.dumps(value)
    except (TypeError, ValueError):
        return None
    return None if len(written) > most or b"\\u0000" in written else value

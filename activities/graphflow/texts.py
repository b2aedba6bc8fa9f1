"""Values of runs as texts that are stored."""

from typing import Any

import orjson

from domain.graphflow.expressions import BadExpression


def json_text(value: Any) -> str:
    """A value as JSON.

    Raises:
        BadExpression: it is nested too deeply, or holds what JSON does not have.
    """
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise BadExpression(f"the value cannot be written as JSON ({error})") from None

"""The choice of a chunk or a completion, in the forms that gateways give it."""

from collections.abc import Mapping
from typing import Any

_PARTS = ("delta", "message", "text", "finish_reason")
_WRAPPINGS = ("data", "result", "response")


def choice_of(chunk: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first choice: of a list, or of an object in its place, which is the choice or has them under numbers."""
    choices = chunk.get("choices")
    if isinstance(choices, dict):
        choices = [choices] if any(name in choices for name in _PARTS) else list(choices.values())
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict):
            return choice
    return None


def unwrap(chunk: dict[str, Any]) -> dict[str, Any]:
    """The chunk, or the one that it wraps as the result of an answer of another form."""
    if "choices" in chunk:
        return chunk
    inner = (chunk.get(name) for name in _WRAPPINGS)
    return next((each for each in inner if isinstance(each, dict) and isinstance(each.get("choices"), list)), chunk)

"""Finish reasons of answers, as clients see them."""

from typing import Literal

FinishReason = Literal["stop", "length", "content_filter", "error", "tool_calls"]

_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "error": "error",
}
_EMPTY = {
    "length": "the model used all the tokens of its answer before it said anything: allow it more of them",
    "content_filter": "the provider's filter kept the whole answer back",
}


def finish_reason(status: str, finish: str | None) -> FinishReason | None:
    """Return the reason of a turn in this status; None while it has not ended, or if it was rejected.

    An unknown or missing reason of a provider counts as `stop`, as do answers of older events.
    """
    if status == "completed":
        return _REASONS.get(finish or "", "stop")
    return "error" if status == "failed" else None


def empty_answer_reason(finish: str) -> str:
    """Return the explanation of an empty answer that ended for this reason."""
    return _EMPTY.get(finish, "the model gave an empty answer")

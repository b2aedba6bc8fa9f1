"""Why an answer ended, as people are told."""

from typing import Literal

FinishReason = Literal["stop", "length", "content_filter", "error", "tool_calls"]

_TOLD: dict[str, FinishReason] = {
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
    """The reason of a turn in this status; None while it has no end, or a person kept its answer back.

    What a provider gave no reason for, or one that says nothing, ended by itself, as answers of older events did.
    """
    if status == "completed":
        return _TOLD.get(finish or "", "stop")
    return "error" if status == "failed" else None


def why_empty(finish: str) -> str:
    """Why there is no word in an answer that ended for this reason."""
    return _EMPTY.get(finish, "the model gave an empty answer")

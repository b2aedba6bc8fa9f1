"""The choice of a chunk or a completion, in the forms that gateways give it, and the reason for which it has ended."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from adapters.openai.bounds import name_from

_PARTS = ("delta", "message", "text", "finish_reason")
_WRAPPINGS = ("data", "result", "response")
Finish = Literal["stop", "length", "content_filter", "tool_calls", "other", "failed"]
_MEANT: dict[Finish, frozenset[str]] = {
    "stop": frozenset({"stop", "end_turn", "eos", "eos_token", "eot", "stop_sequence", "end", "complete", "completed"}),
    "length": frozenset(
        {"length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length", "token_limit"}
        | {"model_context_window_exceeded", "max_length", "context_length_exceeded", "truncated", "incomplete"}
        | {"error_limit"}
    ),
    "content_filter": frozenset(
        {"content_filter", "content_filtered", "contentfilter", "safety", "recitation", "blocklist", "refusal", "spii"}
        | {"prohibited_content", "guardrail_intervened", "sensitive", "moderation", "image_safety", "language"}
        | {"error_toxic"}
    ),
    "tool_calls": frozenset({"tool_calls", "tool_call", "tool_use", "function_call"}),
    "other": frozenset({"finish_reason_unspecified", "unknown", "other"}),
}
_FAILURE = re.compile(
    r"error|fail|abort|cancel|time_?d?_?out|malformed|insufficient|unavailable|exceeded|interrupt|crash|overload"
    r"|invalid|disconnect|unexpected|expired|killed|lost"
)
"""Reasons that no list has, and what in them says that it is not the model that ended its answer."""


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


def reason_of(choice: Mapping[str, Any]) -> str | None:
    """The provider's own reason for which a choice has ended; None while it gives none."""
    reason = finish_from(choice.get("finish_reason"))
    return finish_from(choice["stop_reason"]) if reason is None and "stop_reason" in choice else reason


def finish_from(value: Any) -> str | None:
    """The provider's own reason as a lower-case word; None while it gives none, in whichever way it says so."""
    if isinstance(value, dict):
        value = value.get("type") or value.get("reason")
    reason = (name_from(value) or "").strip().lower().replace("-", "_").replace(" ", "_")
    reason = reason.rpartition(".")[2]  # of a constant, what stands behind the name of its type
    return None if reason in ("", "null", "none") else reason


def meaning_of(reason: str | None) -> Finish:
    """The meaning of a reason."""
    for meant, words in _MEANT.items():
        if reason in words:
            return meant
    return "failed" if reason is not None and _FAILURE.search(reason) else "other"

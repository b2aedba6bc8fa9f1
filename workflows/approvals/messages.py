"""Signals of the approval workflow and the parsing of their arguments.

Fields are added with defaults, never removed: recorded histories hold them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DECIDED_SIGNAL = "approval_decided"
"""Name of the signal that tells the waiting workflow about the decision."""

MAX_TEXT = 10_000
"""Maximum characters of a comment or of an edited text in a signal: both are kept in the workflow's history."""
_MAX_NAME = 64
_UNNAMED = "temporal"


@dataclass(frozen=True)
class WithdrawalRequest:
    """A request to withdraw the approval because no workflow waits for it any more."""

    reason: str = ""


@dataclass(frozen=True)
class ParsedSignal:
    """The parsed arguments of an approve or reject signal. `problem` explains arguments that cannot be parsed."""

    by: str
    comment: str | None = None
    edited_content: str | None = None
    problem: str | None = None


def parse_signal(arguments: Sequence[Any]) -> ParsedSignal:
    """Parse a signal's arguments: none, a comment, or an object `{comment, by, edited_content}`."""
    argument = arguments[0] if arguments else None
    if len(arguments) > 1 or not isinstance(argument, str | dict | None):
        return ParsedSignal(f"claimed:{_UNNAMED}", problem="there is one argument at most: a comment, or an object")
    return _parse_fields(argument if isinstance(argument, dict) else {"comment": argument})


def _parse_fields(given: dict[str, Any]) -> ParsedSignal:
    texts = {name: given.get(name) for name in ("comment", "by", "edited_content")}
    by = f"claimed:{_claimed_name(texts['by'])}"
    if unknown := sorted(set(given) - set(texts)):
        return ParsedSignal(by, problem=f"{_printable(unknown[0])} is not known: use comment, by and edited_content")
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            return ParsedSignal(by, problem=f"{name} is no text")
        if text is not None and (len(text) > MAX_TEXT or not _is_storable(text)):
            return ParsedSignal(by, problem=f"{name} is longer than {MAX_TEXT} characters, or holds what is no text")
    return ParsedSignal(by, texts["comment"] or None, texts["edited_content"] or None)


def reason_of(arguments: Sequence[Any]) -> str:
    """Return the reason of a withdrawal: the argument itself, or the `reason` of an object."""
    argument = arguments[0] if arguments else None
    reason = argument.get("reason") if isinstance(argument, dict) else argument
    return reason[:MAX_TEXT] if isinstance(reason, str) and _is_storable(reason) else ""


def _claimed_name(given: Any) -> str:
    """Return the printable part of the name that the sender claims."""
    return (_printable(given) if isinstance(given, str) else "") or _UNNAMED


def _printable(given: str) -> str:
    return "".join(letter for letter in given if letter.isprintable()).strip()[:_MAX_NAME]


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)

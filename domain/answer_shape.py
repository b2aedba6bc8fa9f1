"""Shapes of answers that a program reads: a JSON Schema, and the ids in an answer that decide the next step."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _no_ids(_: Any) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class AnswerShape:
    """A kind of answer.

    `schema` builds the JSON Schema, given the ids to choose from; `named` picks the ids that a valid answer names.
    `problem` returns the problem of an answer that follows the schema and is still unusable, or None. `takes_text`: a
    person's edit of the answer may be any text.
    """

    name: str
    schema: Callable[[Sequence[str]], Mapping[str, Any]]
    named: Callable[[Any], list[str]] = _no_ids
    problem: Callable[[Any, Sequence[str]], str | None] = lambda _value, _options: None
    takes_text: bool = False

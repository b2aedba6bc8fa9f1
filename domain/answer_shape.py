"""Shapes of answers that a program has to read: a JSON Schema, and the ids in an answer that decide what follows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


def _nothing(_: Any) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of answer.

    `schema` makes the JSON Schema, given the ids to choose from; `named` picks the ids that a valid answer names.
    `problem` says what is wrong with an answer that follows the schema and still cannot be, or None. `takes_text`: any
    text does where a person has edited the answer.
    """

    name: str
    schema: Callable[[Sequence[str]], Mapping[str, Any]]
    named: Callable[[Any], list[str]] = _nothing
    problem: Callable[[Any, Sequence[str]], str | None] = lambda _value, _options: None
    takes_text: bool = False

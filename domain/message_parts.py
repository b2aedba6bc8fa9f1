"""Messages that a run composes: of fixed texts, and of texts that it knows by their hashes only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import NotFound

_LEAST_SHARE = 200
"""The least characters of a text that are kept, however many texts there are."""
_CUT = " […]"


@dataclass(frozen=True)
class MessagePart:
    """A fixed text (`text`), or a stored text (`hash`); `at` is the path to the value in it, if it is JSON.

    `at` lists keys and indices, as in `("parts", 0, "task")`.
    """

    text: str = ""
    hash: str | None = None
    at: Sequence[str | int] = ()


def hashes(parts: Iterable[MessagePart]) -> set[str]:
    """Return the hashes of the stored texts of a message."""
    return {part.hash for part in parts if part.hash}


def compose(parts: Sequence[MessagePart], texts: Mapping[str, str], *, most: int) -> str:
    """Compose the message, of about `most` characters: stored texts too long in sum are cut to equal shares.

    Raises:
        NotFound: a text was erased.
    """
    words = [_words(part, texts) for part in parts]
    room = most - sum(len(part.text) for part in parts if part.hash is None)
    known = iter(cut_to_shares([word for part, word in zip(parts, words, strict=True) if part.hash], room))
    return "".join(part.text if part.hash is None else next(known) for part in parts)


def cut_to_shares(texts: Sequence[str], room: int) -> list[str]:
    """Cut the longest texts to an equal share, so that all of them together fit `room` characters."""
    share = _share([len(text) for text in texts], room)
    return [_cut(text, share) for text in texts]


def _words(part: MessagePart, texts: Mapping[str, str]) -> str:
    if part.hash is None:
        return part.text
    if part.hash not in texts:
        raise NotFound("a text of this message was erased")
    return _inside(json.loads(texts[part.hash]), part.at) if part.at else texts[part.hash]


def _inside(value: Any, at: Sequence[str | int]) -> str:
    for step in at:
        value = value[step]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _share(sizes: Sequence[int], room: int) -> int:
    """Return the largest limit on each text that keeps all of them together within `room`."""
    bound = max(sizes, default=0)
    left, many = room, len(sizes)
    for size in sorted(sizes):
        if size * many > left:
            bound = left // many
            break
        left, many = left - size, many - 1
    return max(bound, _LEAST_SHARE)


def _cut(text: str, share: int) -> str:
    return text if len(text) <= share else text[: share - len(_CUT)] + _CUT

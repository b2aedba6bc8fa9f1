"""Texts of people and models, stored apart from the events so that they can be erased. Events contain their hashes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from domain.errors import Invalid

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def content_hash(text: str) -> str:
    """Return the SHA-256 of the UTF-8 text, in hex."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """A text and its owner: erasing an owner erases all its texts.

    Raises:
        Invalid: the text contains U+0000 or half a surrogate pair, and cannot be stored.
    """

    owner: str
    text: str

    def __post_init__(self) -> None:
        if "\x00" in self.text:
            raise Invalid("the text contains the character U+0000")
        if not self.text.isascii() and _HALF_PAIR.search(self.text):
            raise Invalid("the text contains half a surrogate pair")

    @property
    def hash(self) -> str:
        return content_hash(self.text)


class ContentStore(Protocol):
    """Texts by (owner, hash)."""

    def put(self, content: Content) -> str:
        """Store the text, once, and return its hash."""
        ...

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        """Return the stored ones of these texts, by hash; an erased one is absent."""
        ...


class ContentEraser(Protocol):
    """Removes texts for ever."""

    def erase(self, owner: str) -> int:
        """Remove all texts of an owner, and return their number."""
        ...


class NoEraser:
    """The null object of `ContentEraser`, for whoever removes the texts in a later step."""

    def erase(self, owner: str) -> int:  # noqa: ARG002  (nothing is removed yet)
        return 0

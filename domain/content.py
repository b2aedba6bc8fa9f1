"""Text of people and models, kept apart from the events so that it can be erased. Events hold its hash."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from domain.errors import Invalid

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def content_hash(text: str) -> str:
    """SHA-256 of the UTF-8 text, in hex."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """A text and whose it is: erasing an owner erases all of it.

    Raises:
        Invalid: the text holds U+0000 or half a surrogate pair, and cannot be stored.
    """

    owner: str
    text: str

    def __post_init__(self) -> None:
        if "\x00" in self.text:
            raise Invalid("the text holds the character U+0000")
        if not self.text.isascii() and _HALF_PAIR.search(self.text):
            raise Invalid("the text holds half a surrogate pair")

    @property
    def hash(self) -> str:
        return content_hash(self.text)


class ContentStore(Protocol):
    """Texts by (owner, hash)."""

    def put(self, content: Content) -> str:
        """Store the text, once, and return its hash."""
        ...

    def get(self, owner: str, hashes: Iterable[str]) -> Mapping[str, str]:
        """The texts that are there, by hash; an erased one is absent."""
        ...

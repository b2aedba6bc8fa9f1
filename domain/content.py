"""Text of people and models, kept apart from the events so that it can be erased. Events hold its hash."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol


def content_hash(text: str) -> str:
    """SHA-256 of the UTF-8 text, in hex."""
    return sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Content:
    """A text and whose it is: erasing an owner erases all of it."""

    owner: str
    text: str

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

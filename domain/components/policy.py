"""Limits on the states of components, and their form as texts."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import orjson

from domain.components.canonical_json import canonical_json
from domain.errors import TooLarge

MAX_STATE = 768 * 1024
"""Maximum bytes of a state, as JSON without spaces in UTF-8."""
MAX_METADATA = 16 * 1024
"""Maximum bytes of the metadata, in the same form."""


@dataclass(frozen=True, slots=True)
class StateTexts:
    """A state and its metadata as they are stored: keys in the order that they came in."""

    state: str
    metadata: str
    checksum: str

    @property
    def size(self) -> int:
        return len(self.state.encode())


def to_texts(state: Any, metadata: dict[str, Any]) -> StateTexts:
    """Return the texts to store.

    Raises:
        TooLarge: a limit is exceeded.
    """
    stored = _encode_bounded("state", state, MAX_STATE)
    return StateTexts(stored, _encode_bounded("metadata", metadata, MAX_METADATA), checksum_of(state))


def checksum_of(state: Any) -> str:
    """Return the SHA-256, in hex, of a state as canonical JSON."""
    return sha256(canonical_json(state).encode()).hexdigest()


def _encode_bounded(field: str, value: Any, limit: int) -> str:
    stored = orjson.dumps(value)
    if len(stored) > limit:
        raise TooLarge(f"{field} exceeds {limit} bytes", field=field, limit=limit)
    return stored.decode()

"""Frames of a stream, and the entries of the ledger that they are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class TextField:
    """A field of a frame whose value is a stored text; with `is_json` the text is JSON, and its value is shown."""

    name: str
    hash: str
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class FrameDraft:
    """A frame without its number and without its texts, which are read only if somebody gets it."""

    type: str
    data: Mapping[str, Any]
    at: datetime
    texts: tuple[TextField, ...] = ()


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What one event adds to a stream: its frames, behind the live frames of the model call that it `closes`.

    `opens` is the model call whose live frames may follow. An entry may have no frame of its own.
    """

    frames: tuple[FrameDraft, ...] = ()
    closes: str | None = None
    opens: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as clients get it. `seq` counts from 1; None marks what is about the connection, not the stream."""

    seq: int | None
    type: str
    data: Mapping[str, Any]
    timestamp: str


@dataclass(frozen=True, slots=True)
class LiveFrame:
    """A frame of a model call while it answers: a piece of text (`delta`), or a `reset` before another attempt."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""


@dataclass(frozen=True, slots=True)
class LiveBatch:
    """Consecutive live frames of one model call; `first` is the index of the first one, from 1.

    `generation` names the list that they stand in: a store that lost its memory begins another one.
    """

    call_id: str
    generation: str
    first: int
    frames: tuple[LiveFrame, ...]


@dataclass(frozen=True, slots=True)
class SealedCall:
    """The live frames of a call that gets no more of them. Without any, or without a store, `frames` is 0."""

    call_id: str
    generation: str = ""
    frames: int = 0


@dataclass(frozen=True, slots=True)
class CountedCall:
    """The record that live frames of a call were shown, and in the end their number, which never changes.

    `frames` is None while the call is open.
    """

    generation: str
    frames: int | None = None


LOST = 1_000_000
"""The count of a call whose live frames were shown and then lost: more than any call can have (`MOST_LIVE`)."""
MOST_LIVE = 100_000
"""Limit on the live frames of one call; what follows is not streamed."""

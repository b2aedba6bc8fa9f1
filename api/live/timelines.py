"""The streams that clients see, as pure folds of the ledger's events, in the order of the ledger."""

from collections.abc import Callable, Sequence
from typing import Protocol

from domain.events import Event
from domain.live.frames import LedgerEntry
from domain.live.ports import EventBatch

NOTHING = LedgerEntry()


class Timeline(Protocol):
    """One stream. `add` takes its events in their order and returns what each one adds.

    `owner` is whose texts the frames show, `open_tools` are the tool calls whose end is still to come. `is_idle`:
    nothing is going on, so that nothing more comes unless somebody begins something. `is_closed`: nothing can.
    `has_begun`: there is such a stream. `hides_texts`: its texts were erased.
    """

    owner: str
    open_tools: list[str]
    is_idle: bool
    is_closed: bool
    has_begun: bool
    hides_texts: bool

    def add(self, event: Event) -> LedgerEntry: ...


ReadEvents = Callable[[str, int, Sequence[str]], EventBatch]
"""Reads the events of a stream by its id, behind a position, with the tool calls that are open."""

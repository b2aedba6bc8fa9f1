"""Past states of a record: the part of its stream that had been recorded by a moment."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from domain.events import Event

E = TypeVar("E", bound=Event)


def events_until(events: Iterable[E], moment: datetime | None) -> Sequence[E]:
    """Return the events up to the last one decided by then; all of them without a moment.

    Clocks of processes differ: an event between two that had happened by then counts as well.
    """
    known = list(events)
    if moment is None:
        return known
    last = max((number for number, event in enumerate(known, 1) if event.at <= moment), default=0)
    return known[:last]

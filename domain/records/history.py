"""The past of records: their events as people read them, and the part of a stream that was recorded by a moment."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from domain.events import Event

E = TypeVar("E", bound=Event)
Kind = Literal["created", "updated", "deleted", "erased"]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """An event of a record: who did what, when, and in which request.

    `version` is the record's version from then on. `changes` has the new values of `fields`; an erased text is None.
    """

    version: int
    event: Kind
    by: str
    because: str
    at: datetime
    fields: tuple[str, ...]
    changes: dict[str, Any]


def history_entry(
    version: int, event: Event, kind: Kind, fields: Sequence[str] = (), values: Mapping[str, Any] | None = None
) -> HistoryEntry:
    """Return the entry for an event after which the record's fields have these values; erased ones are absent."""
    changes = {name: (values or {}).get(name) for name in fields}
    return HistoryEntry(version, kind, event.by, event.because, event.at, tuple(fields), changes)


def events_until(events: Iterable[E], moment: datetime | None) -> Sequence[E]:
    """Return the events up to the last one decided by then; all of them without a moment.

    Clocks of processes differ: an event between two that had happened by then counts as well.
    """
    known = list(events)
    if moment is None:
        return known
    last = max((number for number, event in enumerate(known, 1) if event.at <= moment), default=0)
    return known[:last]

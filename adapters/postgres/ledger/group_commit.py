"""Appends that come at once, in one transaction: they share a round trip, the ledger's lock and a flush to disk."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.prepared import Statement, bigint_array, bigints, byteas, texts
from domain.content import Content
from domain.errors import Unavailable
from domain.ledger import Underway

APPEND = Statement(b"ledger_append_group", b"SELECT ledger_append_group($1, $2, $3, $4, $5, $6, $7, $8)")
"""Keys; streams, versions, topics and states of the events; owners, hashes and bodies of the texts."""

MOST_APPENDS = 64
MOST_SIZE = 1_000_000
"""Of the states (bytes) and texts (characters) of a group.

What is larger by itself keeps nobody waiting, unless it goes on from another.
"""


@dataclass(eq=False, slots=True)
class Append:
    """What one command appends, and what came of it: `positions` or an `error`.

    `told` is locked until that is known, or until it is its turn to lead.
    """

    key: str
    events: Sequence[StoredEvent]
    content: Sequence[Content]
    underway: Underway = field(default_factory=Underway)
    positions: Sequence[int] | None = None
    error: BaseException | None = None
    leads: bool = False
    told: Lock = field(default_factory=Lock)

    @property
    def size(self) -> int:
        return sum(len(event.state) for event in self.events) + sum(len(text.text) for text in self.content)


class GroupCommit:
    """The thread that comes first writes at once; what comes meanwhile goes together, next.

    Appends are written in the order in which they came, so one may go on from where another, which is under way, will
    have brought a stream. If a group cannot be written because of one among them, they are written one by one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._waiting: deque[Append] = deque()
        self._busy = False

    def write(self, append: Append) -> Sequence[int]:
        """Positions of the events, in order; empty if the key was used before.

        Raises:
            psycopg.Error, UnicodeEncodeError: it cannot be written, or what it goes on from was not.
            domain.errors.Unavailable: the database cannot be reached.
        """
        if append.size > MOST_SIZE and append.underway.after is None:
            self._write_one(append)
            append.underway.in_line()
        else:
            self._write_in_line(append)
        if append.error is not None:
            raise append.error
        return append.positions or ()

    def _write_in_line(self, append: Append) -> None:
        append.told.acquire()
        with self._lock:
            self._waiting.append(append)
            append.leads, self._busy = not self._busy, True
        append.underway.in_line()
        if not append.leads:
            append.told.acquire()
        if append.leads:
            self._lead()

    def _lead(self) -> None:
        """Write what waits, as far as it goes together, and have the next one lead."""
        with self._lock:
            group = self._group()
        try:
            self._write_together(group)
        except BaseException as error:  # a fault of ours: whoever is in the group is told of it
            for append in group:
                if append.positions is None:
                    _end(append, error=error)
            raise
        finally:
            with self._lock:
                following = next(iter(self._waiting), None)
                self._busy = following is not None
            if following is not None:
                following.leads = True
                following.told.release()
            for append in group[1:]:
                append.told.release()

    def _group(self) -> list[Append]:
        """The first of those that wait, and those behind it that go with it."""
        group = [self._waiting.popleft()]
        keys, size = {group[0].key}, group[0].size
        versions = {event.originator_id: event.originator_version for event in group[0].events}
        for append in list(islice(self._waiting, MOST_APPENDS - 1)):
            size += append.size
            if size > MOST_SIZE or append.key in keys or not _goes_on(versions, append.events):
                break
            keys.add(append.key)
            group.append(self._waiting.popleft())
        return group

    def _write_together(self, group: Sequence[Append]) -> None:
        if len(group) == 1 or any(append.underway.is_void for append in group):
            return self._write_one_by_one(group)
        try:
            positions = iter(self._written(group))
        except Unavailable as error:
            for append in group:
                _end(append, error=error)
        except (psycopg.Error, UnicodeEncodeError):  # because of one of them
            self._write_one_by_one(group)
        else:
            for append in group:
                _end(append, list(islice(positions, len(append.events))))
        return None

    def _write_one_by_one(self, group: Sequence[Append]) -> None:
        for append in group:
            self._write_one(append)

    def _write_one(self, append: Append) -> None:
        if append.underway.is_void:
            return _end(append, error=psycopg.IntegrityError("what it goes on from was not written"))
        try:
            _end(append, self._written([append]))
        except (psycopg.Error, UnicodeEncodeError, Unavailable) as error:
            _end(append, error=error)
        return None

    def _written(self, group: Sequence[Append]) -> Sequence[int]:
        return bigint_array(self._database.execute(APPEND, appending(group)).get_value(0, 0))


def _end(append: Append, positions: Sequence[int] = (), error: BaseException | None = None) -> None:
    append.positions, append.error = positions, error
    append.underway.over(failed=not positions)


def appending(group: Sequence[Append]) -> tuple[bytes, ...]:
    """The parameters of `APPEND`. Texts are sorted, so that no two groups wait for each other."""
    events = [event for append in group for event in append.events]
    contents = sorted((text.owner, text.hash, text.text) for append in group for text in append.content)
    return (
        texts([append.key for append in group]),
        texts([str(event.originator_id) for event in events]),
        bigints([event.originator_version for event in events]),
        texts([event.topic for event in events]),
        byteas([event.state for event in events]),
        texts([owner for owner, _, _ in contents]),
        texts([digest for _, digest, _ in contents]),
        texts([body for _, _, body in contents]),
    )


def _goes_on(versions: dict[UUID | str, int], events: Sequence[StoredEvent]) -> bool:
    """Whether these events follow on those before; then they are noted as the newest of their streams."""
    newest = dict[UUID | str, int]()
    for event in events:
        before = newest.get(event.originator_id, versions.get(event.originator_id))
        if before is not None and event.originator_version != before + 1:
            return False
        newest[event.originator_id] = event.originator_version
    versions.update(newest)
    return True

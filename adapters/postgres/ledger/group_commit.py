"""Group commit: concurrent appends share one transaction, and so a round trip, the ledger's lock and a disk flush."""

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
from domain.ledger import PendingAppend

APPEND = Statement(b"ledger_append_group", b"SELECT ledger_append_group($1, $2, $3, $4, $5, $6, $7, $8)")
"""Parameters: keys; streams, versions, topics and states of the events; owners, hashes and bodies of the texts."""

MAX_APPENDS = 64
MAX_SIZE = 1_000_000
"""Maximum size of a group: bytes of its states plus characters of its texts.

A larger append is written by itself, without delaying others, unless it depends on a pending one.
"""


@dataclass(eq=False, slots=True)
class Append:
    """One command's append and its result: `positions` or an `error`.

    `told` is locked until the result is known, or until the append becomes the leader.
    """

    key: str
    events: Sequence[StoredEvent]
    content: Sequence[Content]
    underway: PendingAppend = field(default_factory=PendingAppend)
    positions: Sequence[int] | None = None
    error: BaseException | None = None
    leads: bool = False
    told: Lock = field(default_factory=Lock)

    @property
    def size(self) -> int:
        return sum(len(event.state) for event in self.events) + sum(len(text.text) for text in self.content)


class GroupCommit:
    """The first thread writes at once and leads; appends that arrive meanwhile form the next group.

    Appends are written in order of arrival, so one may depend on the stream version that a pending one will write. If a
    group fails because of one append, they are written one by one.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._waiting: deque[Append] = deque()
        self._busy = False

    def write(self, append: Append) -> Sequence[int]:
        """Return the positions of the events, in order; empty if the key was used before.

        Raises:
            psycopg.Error, UnicodeEncodeError: it cannot be written, or the append that it depends on was not.
            domain.errors.Unavailable: the database cannot be reached.
        """
        if append.size > MAX_SIZE and append.underway.after is None:
            self._write_one(append)
            append.underway.in_line()
        else:
            self._write_queued(append)
        if append.error is not None:
            raise append.error
        return append.positions or ()

    def _write_queued(self, append: Append) -> None:
        append.told.acquire()
        with self._lock:
            self._waiting.append(append)
            append.leads, self._busy = not self._busy, True
        append.underway.in_line()
        if not append.leads:
            append.told.acquire()  # blocks until the leader releases it, with the result or the lead
        if append.leads:
            self._lead()

    def _lead(self) -> None:
        """Write the next group, and make the first of the remaining appends the leader."""
        with self._lock:
            group = self._next_group()
        try:
            self._write_together(group)
        except BaseException as error:  # a programming error: pass it to all waiters of the group
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

    def _next_group(self) -> list[Append]:
        """Return the first waiting append, and those behind it that can be written with it."""
        group = [self._waiting.popleft()]
        keys, size = {group[0].key}, group[0].size
        versions = {event.originator_id: event.originator_version for event in group[0].events}
        for append in list(islice(self._waiting, MAX_APPENDS - 1)):
            size += append.size
            if size > MAX_SIZE or append.key in keys or not _is_continuation(versions, append.events):
                break
            keys.add(append.key)
            group.append(self._waiting.popleft())
        return group

    def _write_together(self, group: Sequence[Append]) -> None:
        if len(group) == 1 or any(append.underway.is_void for append in group):
            return self._write_one_by_one(group)
        try:
            positions = iter(self._write_group(group))
        except Unavailable as error:
            for append in group:
                _end(append, error=error)
        except (psycopg.Error, UnicodeEncodeError):  # one of them caused it
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
            return _end(append, error=psycopg.IntegrityError("the append that this one depends on was not written"))
        try:
            _end(append, self._write_group([append]))
        except (psycopg.Error, UnicodeEncodeError, Unavailable) as error:
            _end(append, error=error)
        return None

    def _write_group(self, group: Sequence[Append]) -> Sequence[int]:
        return bigint_array(self._database.execute(APPEND, append_parameters(group)).get_value(0, 0))


def _end(append: Append, positions: Sequence[int] = (), error: BaseException | None = None) -> None:
    append.positions, append.error = positions, error
    append.underway.finish(failed=not positions)


def append_parameters(group: Sequence[Append]) -> tuple[bytes, ...]:
    """Return the parameters of the statement. Texts are sorted, so that concurrent groups cannot deadlock."""
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


def _is_continuation(versions: dict[UUID | str, int], events: Sequence[StoredEvent]) -> bool:
    """Return whether these events follow the versions so far; if so, the versions are updated."""
    newest = dict[UUID | str, int]()
    for event in events:
        before = newest.get(event.originator_id, versions.get(event.originator_id))
        if before is not None and event.originator_version != before + 1:
            return False
        newest[event.originator_id] = event.originator_version
    versions.update(newest)
    return True

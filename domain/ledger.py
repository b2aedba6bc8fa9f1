"""The event store: all events, in one order."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import sleep
from typing import TypeVar

from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import ApplicationRecorder, IntegrityError, JSONTranscoder, Mapper, StoredEvent
from eventsourcing.utils import Environment, EnvType

from domain.content import Content
from domain.errors import VersionConflict
from domain.events import Event, EventRegistry, RecordedEvent

T = TypeVar("T")

MANY_TRIES = 200
"""Tries for streams that many writers append to at once."""
BRIEF_S = 0.001
"""The first pause between tries, in seconds."""
_LONGEST_PAUSE_S = 0.02


def no_callback() -> None:
    """Do nothing: the null callback."""


@dataclass(eq=False, slots=True)
class PendingAppend:
    """A pending append, which others may build on before it is committed.

    `in_line` is called as soon as every later append of this process is certain to be written later. `failed` is set
    before any of those is written; an append that builds on a failed one fails too: `after` is the one that this builds
    on.
    """

    after: "PendingAppend | None" = None
    in_line: Callable[[], None] = no_callback
    failed: bool = False

    @property
    def is_void(self) -> bool:
        """Return True if the append that this builds on has failed."""
        return self.after is not None and self.after.failed

    def finish(self, *, failed: bool) -> None:
        """Mark the append as committed or failed."""
        self.failed, self.after = failed, None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event with its place in a stream, in the form of the event store library."""

    originator_id: str
    originator_version: int
    event: Event


@dataclass(frozen=True, slots=True)
class Change:
    """New events for one stream, decided at version `expected` (0: it did not exist)."""

    stream: str
    expected: int
    events: Sequence[Event]

    def stream_events(self) -> Iterator[StreamEvent]:
        for version, event in enumerate(self.events, self.expected + 1):
            yield StreamEvent(self.stream, version, event)


class _EventMapper(Mapper[str]):
    """Stable names and pydantic JSON: the library's transcoder would decode look-alikes inside user data."""

    def __init__(self, registry: EventRegistry) -> None:
        super().__init__(JSONTranscoder())
        self._registry = registry

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        assert isinstance(domain_event, StreamEvent)  # noqa: S101  (for the type checker: `Ledger.append` makes them)
        topic, state = self._registry.encode(domain_event.event)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, topic, state)

    def to_domain_event(self, stored_event: StoredEvent) -> StreamEvent:
        event = self._registry.decode(stored_event.topic, stored_event.state)
        return StreamEvent(str(stored_event.originator_id), stored_event.originator_version, event)


class StreamsRecorder(ApplicationRecorder):
    """A recorder that can also read one stream efficiently, and several at once."""

    @abstractmethod
    def select_stream(self, stream: str, after: int) -> Sequence[StoredEvent]:
        """Return the events of a stream after version `after`, in order."""

    @abstractmethod
    def select_streams(self, streams: Sequence[str]) -> Sequence[StoredEvent]:
        """Return the events of all these streams, each stream's in order."""

    @abstractmethod
    def select_last_streams(self, prefix: str, limit: int) -> Sequence[StoredEvent]:
        """Return the events of the last `limit` streams, by name, with this prefix, each stream's in order."""


class Ledger(Application[str]):
    """Streams of events in one order, appended to all at once or not at all.

    Construct one per process and share it between threads. Tables come from migrations, never from here.
    """

    name = "ledger"

    def __init__(self, recorder: StreamsRecorder, registry: EventRegistry) -> None:
        self._recorder = recorder
        self._registry = registry
        super().__init__()

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        return Environment(name, dict(env or {}))  # only the settings read the process's environment

    def construct_mapper(self) -> Mapper[str]:
        return _EventMapper(self._registry)

    def construct_recorder(self) -> StreamsRecorder:
        return self._recorder

    def append(
        self, *changes: Change, key: str, content: Sequence[Content] = (), underway: PendingAppend | None = None
    ) -> int | None:
        """Append all changes in one transaction, under an idempotency key.

        With `underway`, later decisions may build on these changes once they are queued, before they are committed.

        Returns:
            The position of the last event, or None if the key was used before: then nothing is written, and the
            recorded events can be read.

        Raises:
            VersionConflict: a stream is not at its expected version, or the append it builds on has failed.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        stored = [self.mapper.to_stored_event(event) for change in changes for event in change.stream_events()]
        if not stored:
            raise ValueError(f"nothing to append under {key}")
        try:
            positions = self._recorder.insert_events(stored, key=key, content=content, underway=underway)
        except IntegrityError as error:
            raise VersionConflict(f"{', '.join(change.stream for change in changes)}: changed meanwhile") from error
        return positions[-1] if positions else None

    def read(self, stream: str, *, after: int = 0) -> list[Event]:
        """Return the events of a stream after version `after`, in order; empty if there are none."""
        return [self._decode(stored) for stored in self._recorder.select_stream(stream, after)]

    def read_latest(self, stream: str) -> tuple[int, Event | None]:
        """Return the current version of a stream and its last event, which is None while there is none."""
        latest = self._recorder.select_events(stream, desc=True, limit=1)
        return (latest[0].originator_version, self._decode(latest[0])) if latest else (0, None)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[Event]]:
        """Return the events of several streams, in one query. A stream that does not exist is absent."""
        return self._by_stream(self._recorder.select_streams(streams))

    def read_last(self, prefix: str, limit: int) -> dict[str, list[Event]]:
        """Return the events of the last `limit` streams, by name, with this prefix."""
        return self._by_stream(self._recorder.select_last_streams(prefix, limit))

    def _by_stream(self, stored: Sequence[StoredEvent]) -> dict[str, list[Event]]:
        streams: dict[str, list[Event]] = {}
        for event in stored:
            streams.setdefault(str(event.originator_id), []).append(self._decode(event))
        return streams

    def _decode(self, stored: StoredEvent) -> Event:
        return self._registry.decode(stored.topic, stored.state)

    def head(self) -> int:
        """Return the position of the newest event; 0 while there is none."""
        return self.recorder.max_notification_id() or 0

    def after(self, position: int, limit: int) -> list[RecordedEvent]:
        """Return the next events after `position`, in order, `limit` at most."""
        notifications = self.recorder.select_notifications(position, limit, inclusive_of_start=False)
        return [
            RecordedEvent(n.id, str(n.originator_id), n.originator_version, self._registry.decode(n.topic, n.state))
            for n in notifications
        ]


def retry_on_conflict(decide_and_append: Callable[[], T], *, tries: int = 4, pause_s: float = 0.0) -> T:
    """Run a command, and retry after a version conflict, with a pause that grows with each try.

    Raises:
        VersionConflict: all `tries` conflicted.
    """
    for tried in range(1, tries):
        try:
            return decide_and_append()
        except VersionConflict:
            sleep(min(tried * pause_s, _LONGEST_PAUSE_S))
    return decide_and_append()

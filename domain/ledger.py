"""The one event store: every fact, in one order."""

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
from domain.events import Event, Recorded, Registry

T = TypeVar("T")

MANY_TRIES = 200
"""For streams that many append to at once."""
BRIEF_S = 0.001
"""A first pause, in seconds."""
_LONGEST_PAUSE_S = 0.02


def nobody() -> None:
    """Nobody wants to know."""


@dataclass(eq=False, slots=True)
class Underway:
    """An append that others may go on from before it stands.

    `in_line` is called as soon as what comes later, in this process, is written later. `failed` is set before any of
    that is written, which fails too if it goes on from this: `after` is what this one goes on from.
    """

    after: "Underway | None" = None
    in_line: Callable[[], None] = nobody
    failed: bool = False

    @property
    def is_void(self) -> bool:
        """Whether what it goes on from has failed."""
        return self.after is not None and self.after.failed

    def over(self, *, failed: bool) -> None:
        """It stands, or it does not."""
        self.failed, self.after = failed, None


@dataclass(frozen=True, slots=True)
class InStream:
    """An event at its place in a stream, as the event store library wants to see it."""

    originator_id: str
    originator_version: int
    event: Event


@dataclass(frozen=True, slots=True)
class Change:
    """New events for one stream, decided when it stood at `expected` (0: it did not exist)."""

    stream: str
    expected: int
    events: Sequence[Event]

    def placed(self) -> Iterator[InStream]:
        for version, event in enumerate(self.events, self.expected + 1):
            yield InStream(self.stream, version, event)


class _EventMapper(Mapper[str]):
    """Stable names and pydantic JSON: the library's transcoder would decode look-alikes inside user data."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(JSONTranscoder())
        self._registry = registry

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        assert isinstance(domain_event, InStream)  # noqa: S101  (for the type checker: `Ledger.append` makes them)
        topic, state = self._registry.encode(domain_event.event)
        return StoredEvent(domain_event.originator_id, domain_event.originator_version, topic, state)

    def to_domain_event(self, stored_event: StoredEvent) -> InStream:
        event = self._registry.decode(stored_event.topic, stored_event.state)
        return InStream(str(stored_event.originator_id), stored_event.originator_version, event)


class StreamsRecorder(ApplicationRecorder):
    """A recorder that can also read one stream at its quickest, and several at once."""

    @abstractmethod
    def select_stream(self, stream: str, after: int) -> Sequence[StoredEvent]:
        """The events of a stream behind version `after`, in order."""

    @abstractmethod
    def select_streams(self, streams: Sequence[str]) -> Sequence[StoredEvent]:
        """The events of all these streams, each stream's in order."""

    @abstractmethod
    def select_last_streams(self, prefix: str, limit: int) -> Sequence[StoredEvent]:
        """The events of the last `limit` streams, by name, that begin with `prefix`, each stream's in order."""


class Ledger(Application[str]):
    """Streams of events in one order, appended to all at once or not at all.

    Construct one per process and share it between threads. Tables come from migrations, never from here.
    """

    name = "ledger"

    def __init__(self, recorder: StreamsRecorder, registry: Registry) -> None:
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
        self, *changes: Change, key: str, content: Sequence[Content] = (), underway: Underway | None = None
    ) -> int | None:
        """Append all changes in one transaction, under an idempotency key.

        With `underway`, what is decided once it is in line may go on from these changes, before they stand.

        Returns:
            The position of the last event, or None if the key was used before: then nothing is written, and what
            stands can be read.

        Raises:
            VersionConflict: a stream does not stand where its change was decided, or what it goes on from has failed.
            domain.errors.Unavailable: the ledger cannot be reached.
        """
        stored = [self.mapper.to_stored_event(event) for change in changes for event in change.placed()]
        if not stored:
            raise ValueError(f"nothing to append under {key}")
        try:
            positions = self._recorder.insert_events(stored, key=key, content=content, underway=underway)
        except IntegrityError as error:
            raise VersionConflict(f"{', '.join(change.stream for change in changes)}: changed meanwhile") from error
        return positions[-1] if positions else None

    def read(self, stream: str, *, after: int = 0) -> list[Event]:
        """The events of a stream in order, those up to version `after` left out; empty if there are none."""
        return [self._decode(stored) for stored in self._recorder.select_stream(stream, after)]

    def read_latest(self, stream: str) -> tuple[int, Event | None]:
        """The version a stream stands at and its last event, which is None while there is none."""
        latest = self._recorder.select_events(stream, desc=True, limit=1)
        return (latest[0].originator_version, self._decode(latest[0])) if latest else (0, None)

    def read_many(self, streams: Sequence[str]) -> dict[str, list[Event]]:
        """The events of several streams, in one query. A stream that does not exist is absent."""
        return self._by_stream(self._recorder.select_streams(streams))

    def read_last(self, prefix: str, limit: int) -> dict[str, list[Event]]:
        """The events of the last `limit` streams, by name, that begin with `prefix`."""
        return self._by_stream(self._recorder.select_last_streams(prefix, limit))

    def _by_stream(self, stored: Sequence[StoredEvent]) -> dict[str, list[Event]]:
        streams: dict[str, list[Event]] = {}
        for event in stored:
            streams.setdefault(str(event.originator_id), []).append(self._decode(event))
        return streams

    def _decode(self, stored: StoredEvent) -> Event:
        return self._registry.decode(stored.topic, stored.state)

    def head(self) -> int:
        """The position of the newest event; 0 while there is none."""
        return self.recorder.max_notification_id() or 0

    def after(self, position: int, limit: int) -> list[Recorded]:
        """The next events behind `position`, in order, `limit` at most."""
        notifications = self.recorder.select_notifications(position, limit, inclusive_of_start=False)
        return [
            Recorded(n.id, str(n.originator_id), n.originator_version, self._registry.decode(n.topic, n.state))
            for n in notifications
        ]


def retrying(decide_and_append: Callable[[], T], *, tries: int = 4, pause_s: float = 0.0) -> T:
    """Run a command again when somebody else appended first, after a pause that grows with each try.

    Raises:
        VersionConflict: it happened `tries` times.
    """
    for tried in range(1, tries):
        try:
            return decide_and_append()
        except VersionConflict:
            sleep(min(tried * pause_s, _LONGEST_PAUSE_S))
    return decide_and_append()

"""What live frames need of the outside: their store, the ledger, and the counts that numbers depend on."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.events import RecordedEvent
from domain.live.frames import CountedCall, LiveBatch, SealedCall


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A model call whose answer is streamed: `stream` is the conversation that it belongs to."""

    stream: str
    call_id: str
    turn: int
    step: int


class LiveWriter(Protocol):
    """Takes the pieces of one attempt's answer. Nothing here raises, or waits for a slow store."""

    def write(self, text: str) -> None:
        """Add a piece of text."""
        ...

    async def finish(self) -> None:
        """Hand over what is left, in a fraction of a second or not at all."""
        ...

    def abandon(self) -> None:
        """Drop what is left: the attempt failed."""
        ...


class LivePublisher(Protocol):
    """Where the worker puts live frames."""

    def writer(self, call: LiveCall, attempt: int) -> LiveWriter:
        """Return the writer of an attempt; attempts of a call are numbered upwards."""
        ...

    async def erase(self, streams: Sequence[str]) -> None:
        """Remove what is kept of these conversations.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    async def aclose(self) -> None: ...


class NoWriter:
    """The null object of `LiveWriter`."""

    def write(self, text: str) -> None:
        """Discard the piece."""

    async def finish(self) -> None:
        return

    def abandon(self) -> None:
        return


class NoPublisher:
    """The null object of `LivePublisher`: answers come as a whole."""

    def writer(self, call: LiveCall, attempt: int) -> LiveWriter:  # noqa: ARG002  (nothing is kept)
        return NO_WRITER

    async def erase(self, streams: Sequence[str]) -> None:  # noqa: ARG002  (the same)
        return

    async def aclose(self) -> None:
        return


NO_WRITER = NoWriter()
NO_PUBLISHER = NoPublisher()


class LiveReads(Protocol):
    """The store of live frames, as readers see it."""

    async def read(self, stream: str, call_id: str, after: int) -> LiveBatch | None:
        """Return the frames of a call behind index `after`; None if there are none.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    async def seal(self, stream: str, call_ids: Sequence[str]) -> list[SealedCall]:
        """Let these calls get no more frames, and return what they have.

        Raises:
            domain.errors.Unavailable: the store cannot be reached.
        """
        ...

    def follow(self, streams: Callable[[], Sequence[str]]) -> "LiveFollower":
        """Return a follower of the streams that `streams` names at any time."""
        ...


class LiveFollower(Protocol):
    """One subscription of a process to the live frames of the streams that it watches."""

    async def watch(self, stream: str) -> None: ...

    async def unwatch(self, stream: str) -> None: ...

    def batches(self) -> AsyncIterator[tuple[str, LiveBatch] | None]:
        """Yield stream and frames as they come.

        None marks a new connection: frames may have been missed before it.

        Raises:
            domain.errors.Unavailable: the connection was lost.
        """
        ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events of a stream up to position `head`, in the order of their positions."""

    head: int
    events: list[RecordedEvent]


class StreamEvents(Protocol):
    """The events that streams are made from, straight from the ledger."""

    def of_session(self, session_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        """Return the events of a session, its turns and their tool calls behind a position.

        `open_tools` are calls requested before that have not ended.
        """
        ...

    def of_swarm(self, task_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        """Return the events of a swarm, its members' turns and their tool calls."""
        ...

    def of_execution(self, execution_id: str, after: int, open_tools: Sequence[str]) -> EventBatch:
        """Return the events of an execution; it has no tool calls of its own."""
        ...

    def head(self) -> int:
        """Return the position of the newest event."""
        ...

    def changed_since(self, position: int) -> tuple[int, frozenset[str]]:
        """Return the next position, and the conversations, swarms and executions that events since are about."""
        ...


class CallCounts(Protocol):
    """The numbers of live frames of calls. A count is written once, by whoever closes the call first."""

    def of_stream(self, stream: str) -> Mapping[str, CountedCall]: ...

    def open(self, stream: str, call_id: str, generation: str) -> CountedCall:
        """Record that live frames of this generation are about to be shown; return what stands."""
        ...

    def close(self, stream: str, sealed: Sequence[SealedCall]) -> Mapping[str, int]:
        """Record the counts of calls and return those that stand.

        A call that was opened with another generation has `LOST`: some of its frames cannot be known any more.
        """
        ...

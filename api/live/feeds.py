"""One feed for each stream that is watched here: it reads the stream once for all of its readers."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import orjson
import structlog

from api.http.errors import now, to_failure
from api.live.cursor import CursorFactory, StreamCursor
from domain.errors import Unavailable
from domain.live.frames import Frame, LiveBatch

MOST_FRAMES = 2_000
MOST_BYTES = 4 * 2**20
"""Limits on the frames that a feed keeps for its readers. A reader further behind is dropped, and can resume."""
PAUSE_S = 15.0
"""Seconds of silence after which a sign of life is sent."""
LINGER_S = 3.0
"""Seconds for which a stream that does not follow waits for accepted work to begin."""
REREAD_S = 30.0
"""Seconds after which a feed reads its stream even if nothing was heard. Nothing should be missed, so it is rare."""
_MOST_WAITING = 1_000
_READY_S = 10.0
_PAUSE_S = 0.5
_UNREACHABLE = 2**62


class TooSlow(Unavailable):
    """A reader takes longer than frames are kept for it."""


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """A frame with its JSON, which is made once for all readers."""

    seq: int | None
    type: str
    json: bytes


def encode(frame: Frame) -> EncodedFrame:
    body = {"seq": frame.seq, "type": frame.type, "data": frame.data, "timestamp": frame.timestamp}
    return EncodedFrame(frame.seq, frame.type, orjson.dumps(body, default=str))


def error_frame(error: BaseException) -> EncodedFrame:
    """Return the frame about the connection that tells a refusal."""
    failure = to_failure(error)
    data = {"code": failure.code, "message": failure.message, "details": dict(failure.details)}
    return encode(Frame(None, "error", data, now()))


class StreamFeed:
    """The frames of one stream from the moment at which somebody began to watch it.

    `start` is the number before the oldest frame that is kept; `last` that of the newest one.
    """

    def __init__(self, stream: str, factory: CursorFactory) -> None:
        self.stream = stream
        self.factory = factory
        self.readers = 0
        self.start = 0
        self.last = 0
        self.is_idle = False
        self.is_closed = False
        self.is_ready = False
        self.is_followed = True
        """False while live frames are not heard as they come."""
        self._cursor: StreamCursor = factory.cursor(stream)
        self._frames: deque[EncodedFrame] = deque()
        self._bytes = 0
        self._batches: deque[LiveBatch] = deque(maxlen=_MOST_WAITING)
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._is_broken = False
        self._must_read = True
        self._log = structlog.get_logger("live")

    def wake(self) -> None:
        """Read the stream again."""
        self._must_read = True
        self._wake.set()

    def push(self, batch: LiveBatch) -> None:
        """Take live frames. If too many wait, some are dropped here and read from their store."""
        self._batches.append(batch)
        self._wake.set()

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        self._cursor.after = _UNREACHABLE  # what there is already is read by readers, each from where it stands
        while not self._is_broken:
            try:
                await self._step()
            except Unavailable as error:
                self._log.warning("a stream cannot be read", reason=error.message)
                # the cursor stopped anywhere: another one comes to the same numbers
                self._cursor = self.factory.cursor(self.stream, after=self.last if self.is_ready else _UNREACHABLE)
                self._must_read = True
                await asyncio.sleep(_PAUSE_S)
            if not self._must_read and not self._batches:
                with suppress(TimeoutError):
                    async with asyncio.timeout(REREAD_S):
                        await self._wake.wait()
                    self._wake.clear()
                    continue
                self._must_read = True
            self._wake.clear()

    async def _step(self) -> None:
        frames: list[Frame] = []
        if self._must_read:
            self._must_read = False
            frames += await self._cursor.advance()
        while self._batches:
            batch = self._batches.popleft()
            if batch.call_id != self._cursor.awaits:  # the ledger may have come to this call by now
                frames += await self._cursor.advance()
            frames += await self._cursor.receive(batch)
        self._publish(frames)

    def _publish(self, frames: list[Frame]) -> None:
        cursor = self._cursor
        if not self.is_ready:
            self.start = self.last = cursor.after = cursor.seq
            frames = []
        for frame in frames:
            encoded = encode(frame)
            self._frames.append(encoded)
            self._bytes += len(encoded.json)
        self.last = max(self.last, cursor.seq)
        while len(self._frames) > MOST_FRAMES or self._bytes > MOST_BYTES:
            dropped = self._frames.popleft()
            self._bytes -= len(dropped.json)
            self.start = dropped.seq or self.start
        timeline = cursor.timeline
        is_changed = bool(frames) or not self.is_ready or cursor.deltas_are_away
        is_changed |= (self.is_idle, self.is_closed) != (timeline.is_idle, timeline.is_closed)
        self.is_idle, self.is_closed, self.is_ready = timeline.is_idle, timeline.is_closed, True
        if is_changed:
            self._changed.set()
            self._changed = asyncio.Event()

    @property
    def has_deltas(self) -> bool:
        """Return True as long as live frames can be shown, as far as it is known."""
        return self.is_followed and not self._cursor.deltas_are_away

    def stop(self) -> None:
        """Let the readers know that nothing more comes from here."""
        self._is_broken = True
        self._changed.set()

    def behind(self, seq: int) -> list[EncodedFrame]:
        """Return the kept frames behind a number.

        Raises:
            TooSlow: some of them are not kept any more.
            domain.errors.Unavailable: this feed has stopped.
        """
        if self._is_broken:
            raise Unavailable("this stream cannot be read now: resume after the last frame", retry_after=1)
        if seq < self.start:
            raise TooSlow(
                "this reader is too slow: resume after the last frame that it has", reason="too_slow", after=seq
            )
        if not self._frames or seq >= self.last:
            return []
        newer: list[EncodedFrame] = []
        for frame in reversed(self._frames):
            if frame.seq is not None and frame.seq <= seq:
                break
            newer.append(frame)
        return newer[::-1]

    async def changed(self, seconds: float) -> None:
        """Wait until something is new, this long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


@dataclass(frozen=True, slots=True)
class StreamPart:
    """The part of a stream that a reader wants.

    Without `after` it is the work that goes on now from its beginning, and what follows. It ends with the stream or,
    without `follow`, as soon as nothing goes on; if that is so from the start and no frame has come, after `linger_s`:
    work that was accepted a moment ago is about to begin. Without `wait` it ends with the frames that there are.
    """

    after: int | None = 0
    follow: bool = False
    wait: bool = True
    pause_s: float = PAUSE_S
    linger_s: float = LINGER_S


async def read_stream(feed: StreamFeed, part: StreamPart) -> AsyncGenerator[list[EncodedFrame], None]:
    """Yield the frames of a part, in batches; an empty one after each `pause_s` without any.

    Raises:
        TooSlow: the reader takes longer than frames are kept.
        TimeoutError, domain.errors.Unavailable: the stream cannot be read now.
    """
    async with asyncio.timeout(_READY_S):
        while not feed.is_ready:
            feed.behind(feed.start)  # raises if it has stopped
            await feed.changed(_PAUSE_S)
    cursor = feed.factory.cursor(feed.stream, after=part.after or 0)
    backlog = await cursor.advance()
    if part.after is None:
        behind = cursor.seq if cursor.timeline.is_idle else cursor.turn_base
        backlog = [frame for frame in backlog if (frame.seq or 0) > behind]
    if backlog:
        yield [encode(frame) for frame in backlog]
    if not part.wait:
        return
    async for batch in _follow(feed, part, cursor.seq, has_yielded=bool(backlog)):
        yield batch


async def _follow(
    feed: StreamFeed, part: StreamPart, seq: int, *, has_yielded: bool
) -> AsyncGenerator[list[EncodedFrame], None]:
    """Yield what the feed has behind `seq`, until the part ends."""
    lingers_until = monotonic() + (0 if has_yielded or part.follow else part.linger_s)
    had_deltas = feed.factory.stores.live is not None  # where there never are any, the response's header says so
    while True:
        if feed.has_deltas != had_deltas and feed.factory.stores.live is not None:
            had_deltas = feed.has_deltas
            yield [encode(Frame(None, "deltas", {"available": had_deltas}, now()))]
        if batch := feed.behind(seq):
            seq, lingers_until = batch[-1].seq or seq, 0.0
            yield batch
            continue
        left = lingers_until - monotonic()
        is_over = feed.is_closed or (feed.is_idle and not part.follow and left <= 0)
        if is_over and feed.last >= seq:  # else the feed has not yet come to where this reader stands
            return
        await feed.changed(min(part.pause_s, left) if left > 0 else part.pause_s)
        if not feed.behind(seq):
            yield []

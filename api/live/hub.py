"""The streams that are watched in this process, and what tells their feeds that there is something new."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from api.live.cursor import CursorFactory
from api.live.feeds import StreamFeed
from domain.errors import Unavailable
from domain.live.ports import LiveFollower, LiveReads, StreamEvents

TAIL_S = 0.025
"""Seconds between two looks for new events, while anybody watches anything."""
_PAUSE_S = 0.5


class LiveHub:
    """Keeps one feed for each watched stream, one look at the ledger for all, and one subscription to live frames."""

    def __init__(self, events: StreamEvents, live: LiveReads | None) -> None:
        self._events = events
        self._feeds: dict[str, StreamFeed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._live = live
        self._follower: LiveFollower | None = None
        self._background: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("live")
        self._is_closed = False
        self._has_lost = False

    @asynccontextmanager
    async def watch(self, stream: str, factory: CursorFactory) -> AsyncIterator[StreamFeed]:
        """Watch a stream with all others who do.

        Raises:
            Unavailable: this process is about to stop.
        """
        if self._is_closed:
            raise Unavailable("this process is about to stop", retry_after=1)
        feed = self._feeds.get(stream)
        is_new = feed is None
        if feed is None:
            feed = self._begin(stream, factory)
        feed.readers += 1
        try:
            if is_new:
                await self._tell(stream)
            yield feed
        finally:
            feed.readers -= 1
            if feed.readers == 0:
                await self._end(feed)

    async def close(self) -> None:
        """Stop everything, for ever; readers are told."""
        self._is_closed = True
        for feed in list(self._feeds.values()):
            await self._end(feed)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _begin(self, stream: str, factory: CursorFactory) -> StreamFeed:
        feed = self._feeds[stream] = StreamFeed(stream, factory)
        if not self._background:
            self._background = [asyncio.create_task(self._tail())]
            if self._live is not None:
                self._follower = self._live.follow(lambda: list(self._feeds))
                self._background.append(asyncio.create_task(self._follow(self._follower)))
        task = self._tasks[stream] = asyncio.create_task(feed.run())
        task.add_done_callback(lambda done: self._note_end(feed, done))
        return feed

    async def _tell(self, stream: str) -> None:
        """Let the follower hear of a stream for as long as it has a feed."""
        if self._follower is None:
            return
        try:
            await (self._follower.watch(stream) if stream in self._feeds else self._follower.unwatch(stream))
        except Unavailable:
            self._has_lost = True  # the next connection asks for all streams that have a feed

    def _note_end(self, feed: StreamFeed, done: "asyncio.Task[None]") -> None:
        feed.stop()
        if not done.cancelled() and (error := done.exception()) is not None:
            self._log.error("a feed has failed", stream=feed.stream, exc_info=error)
            if self._feeds.get(feed.stream) is feed:
                del self._feeds[feed.stream]
                self._tasks.pop(feed.stream, None)

    async def _end(self, feed: StreamFeed) -> None:
        if self._feeds.get(feed.stream) is not feed:
            return
        del self._feeds[feed.stream]
        feed.stop()
        if (task := self._tasks.pop(feed.stream, None)) is not None:
            self._cancel(task)
        if self._feeds:
            await self._tell(feed.stream)
            await self._tell(feed.stream)  # somebody may have begun to watch it meanwhile
        else:
            self._stop_background()

    def _cancel(self, task: "asyncio.Task[None]") -> None:
        """Cancel a task, and remember it until it has ended.

        It may take a while: the client of the store can turn a cancellation into an error of its own, so tasks also
        look whether they are still wanted.
        """
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        task.cancel()

    def _stop_background(self) -> None:
        tasks, self._background, self._follower = self._background, [], None
        for task in tasks:
            self._cancel(task)

    async def _tail(self) -> None:
        """Wake the feeds of streams that new events are about."""
        position: int | None = None
        while True:
            try:
                if position is None:
                    position = await asyncio.to_thread(self._events.head)
                    self._wake_all()
                position, changed = await asyncio.to_thread(self._events.changed_since, position)
                for stream in changed & self._feeds.keys():
                    self._feeds[stream].wake()
            except Unavailable:
                position = None
                await asyncio.sleep(_PAUSE_S)
            await asyncio.sleep(TAIL_S)

    async def _follow(self, follower: LiveFollower) -> None:
        """Hand live frames to the feeds of their streams."""
        while self._follower is follower:
            try:
                async for said in follower.batches():
                    if said is None:
                        self._has_lost = False
                        self._wake_all()
                    elif (feed := self._feeds.get(said[0])) is not None:
                        feed.push(said[1])
            except Unavailable as error:
                if not self._has_lost:
                    self._log.warning("live frames cannot be followed", reason=repr(error.__cause__ or error))
                if self._follower is not follower:
                    return
                self._has_lost = True
                self._wake_all()
            await asyncio.sleep(_PAUSE_S)

    def _wake_all(self) -> None:
        for feed in self._feeds.values():
            feed.is_followed = not self._has_lost
            feed.wake()

"""Writes the live frames of model calls, in batches, beside the calls and never in their way."""

import asyncio
import time
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import uuid4

import orjson
import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from adapters.redis.live.failures import raise_if_cancelled, unavailable
from adapters.redis.live.scripts import APPEND, KEPT_S, PREFIX, channel, frames_key, state_key, stream_of
from domain.live.frames import MOST_LIVE
from domain.live.ports import NO_WRITER, LiveCall, LiveWriter

GATHER_S = 0.01
"""Seconds for which pieces gather behind one that was sent; the first piece of an answer is sent at once."""
FINISH_S = 0.1
"""Seconds that the end of an answer waits for its last pieces to be written."""
_TIMEOUT_S = 2.0
_PAUSE_S = 0.2
_AWAY_S = 1.0
_CONNECTIONS = 8
_SCANNED = 500
_MOST_WAITING = 1_000_000  # characters that gather while the store is away: more than most answers have


class RedisLivePublisher:
    """`domain.live.ports.LivePublisher`. While the store is away, answers begun then are not streamed."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._append = client.register_script(APPEND)
        self._away_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger("live")

    @classmethod
    def connect(cls, url: str) -> Self:
        """Connect with the first frame; to be closed with `aclose`."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(Redis.from_pool(pool))

    def writer(self, call: LiveCall, attempt: int) -> LiveWriter:
        if time.monotonic() < self._away_until:
            return NO_WRITER
        return _CallWriter(self, call, attempt)

    async def erase(self, streams: Sequence[str]) -> None:
        """Remove the frames of these conversations, in one pass over all that there are."""
        wanted = frozenset(streams)
        try:
            async for key in self._client.scan_iter(match=f"{PREFIX}{{*", count=_SCANNED):
                if stream_of(key.decode()) in wanted:
                    await self._client.unlink(key)
        except (RedisError, OSError) as error:
            raise unavailable("live frames cannot be removed") from error

    async def aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await self._client.aclose()

    def start(self, work: Any) -> "asyncio.Task[None]":
        """Run a writer's work beside its call."""
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def append(self, call: LiveCall, values: list[Any]) -> bool:
        """Run the script once. False: this attempt gets no more frames.

        Raises:
            RedisError, OSError: the store cannot be reached; a repeat adds what was not added.
        """
        keys = [frames_key(call.stream, call.call_id), state_key(call.stream, call.call_id)]
        try:
            return int(await cast("Awaitable[int]", self._append(keys=keys, args=values))) >= 0
        except (RedisError, OSError) as error:  # TimeoutError is an OSError
            raise_if_cancelled()
            if time.monotonic() >= self._away_until:
                self._log.warning("answers are not streamed: live frames cannot be written", error=repr(error))
            self._away_until = time.monotonic() + _AWAY_S
            raise


class _CallWriter:
    """The writer of one attempt: pieces gather while a batch is on its way."""

    def __init__(self, publisher: RedisLivePublisher, call: LiveCall, attempt: int) -> None:
        self._publisher = publisher
        self._call = call
        self._attempt = attempt
        self._generation = uuid4().hex
        self._pieces: list[str] = []
        self._waiting = 0
        self._sent = 0
        self._ending = asyncio.Event()
        self._is_over = False
        self._task: asyncio.Task[None] | None = None
        if attempt > 1:  # readers learn at once that what they have of an earlier attempt is void
            self._task = publisher.start(self._flush())

    def write(self, text: str) -> None:
        if self._is_over or not text:
            return
        self._waiting += len(text)
        if self._waiting > _MOST_WAITING:
            self.abandon()
            return
        self._pieces.append(text)
        if self._task is None:
            self._task = self._publisher.start(self._flush())

    async def finish(self) -> None:
        self._ending.set()
        if self._task is not None and not self._is_over:
            await asyncio.wait({self._task}, timeout=FINISH_S)
        self.abandon()

    def abandon(self) -> None:
        self._is_over = True
        self._ending.set()  # the client may turn a cancellation into an error of its own
        self._pieces.clear()
        if self._task is not None:
            self._task.cancel()

    async def _flush(self) -> None:
        """Send what has gathered until nothing is left."""
        is_new_attempt = self._attempt > 1 and self._sent == 0
        while (self._pieces or is_new_attempt) and not self._is_over:
            is_new_attempt = False
            text = "".join(self._pieces)
            self._pieces.clear()
            self._waiting = 0
            if not await self._send([self._delta(text)] if text else []):
                self._is_over = True
                return
            if not self._ending.is_set():
                await _wait(self._ending, GATHER_S)
        self._task = None

    async def _send(self, frames: list[bytes]) -> bool:
        values = [
            *(self._generation, self._attempt, self._sent, KEPT_S, MOST_LIVE),
            *(channel(self._call.stream), self._call.call_id, self._reset(), *frames),
        ]
        while True:
            try:
                is_open = await self._publisher.append(self._call, values)
            except (RedisError, OSError):
                if self._ending.is_set():
                    return False
                await _wait(self._ending, _PAUSE_S)
                continue
            self._sent += len(frames)
            return is_open

    def _delta(self, text: str) -> bytes:
        return self._encode("delta", {"turn": self._call.turn, "step": self._call.step, "text": text})

    def _reset(self) -> bytes:
        return self._encode("reset", {"turn": self._call.turn, "step": self._call.step, "reason": "retry"})

    def _encode(self, kind: str, data: dict[str, Any]) -> bytes:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return orjson.dumps({"type": kind, "data": data, "at": at})


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Wait until the event is set, this long at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

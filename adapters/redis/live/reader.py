"""Reads the live frames of model calls, and follows those that come."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Self, cast

import orjson
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from adapters.redis.live.failures import raise_if_cancelled, unavailable
from adapters.redis.live.scripts import KEPT_S, PREFIX, SEAL, channel, frames_key, state_key
from domain.live.frames import LiveBatch, LiveFrame, SealedCall

_TIMEOUT_S = 2.0
_CONNECTIONS = 16
_LISTEN_S = 1.0
_ANYTHING = f"{PREFIX}*none"
"""A channel that nobody writes to: a subscription has to have one."""


class RedisLiveReads:
    """`domain.live.ports.LiveReads`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._seal = client.register_script(SEAL)

    @classmethod
    def connect(cls, url: str) -> Self:
        """Connect with the first read; to be closed with `aclose`."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(Redis.from_pool(pool))

    async def aclose(self) -> None:
        await self._client.aclose()

    async def read(self, stream: str, call_id: str, after: int) -> LiveBatch | None:
        try:
            async with self._client.pipeline(transaction=True) as pipe:
                pipe.hget(state_key(stream, call_id), "generation")
                pipe.xrange(frames_key(stream, call_id), f"0-{after + 1}", "+")
                generation, rows = await pipe.execute()
        except (RedisError, OSError) as error:
            raise unavailable("live frames cannot be read") from error
        if generation is None or not rows:
            return None
        first = int(rows[0][0].partition(b"-")[2])
        return LiveBatch(call_id, generation.decode(), first, tuple(_to_frame(row[1][b"f"]) for row in rows))

    async def seal(self, stream: str, call_ids: Sequence[str]) -> list[SealedCall]:
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for call in call_ids:
                    await cast("Awaitable[Any]", self._seal(keys=[state_key(stream, call)], args=[KEPT_S], client=pipe))
                answers = await pipe.execute()
        except (RedisError, OSError) as error:
            raise unavailable("live frames cannot be sealed") from error
        return [
            SealedCall(call, generation.decode(), int(frames))
            for call, (generation, frames) in zip(call_ids, answers, strict=True)
        ]

    def follow(self, streams: Callable[[], Sequence[str]]) -> "RedisLiveFollower":
        return RedisLiveFollower(self._client, streams)


class RedisLiveFollower:
    """`domain.live.ports.LiveFollower` on one connection."""

    def __init__(self, client: Redis, streams: Callable[[], Sequence[str]]) -> None:
        self._client = client
        self._streams = streams
        self._pubsub: Any = None

    async def watch(self, stream: str) -> None:
        await self._tell("subscribe", stream)

    async def unwatch(self, stream: str) -> None:
        await self._tell("unsubscribe", stream)

    async def _tell(self, verb: str, stream: str) -> None:
        if self._pubsub is None:  # the next connection asks for all streams there are
            return
        try:
            await getattr(self._pubsub, verb)(channel(stream))
        except (RedisError, OSError) as error:
            raise unavailable("live frames cannot be followed") from error

    async def batches(self) -> AsyncIterator[tuple[str, LiveBatch] | None]:
        try:
            async with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(_ANYTHING, *(channel(stream) for stream in self._streams()))
                self._pubsub = pubsub
                for stream in self._streams():  # those that came meanwhile
                    await pubsub.subscribe(channel(stream))
                yield None
                while True:
                    message = await pubsub.get_message(timeout=_LISTEN_S)
                    raise_if_cancelled()  # a cancellation at the end of the timeout is no error here: it is lost
                    if message is not None and message["type"] == "message":
                        yield _to_batch(message)
        except (RedisError, OSError) as error:
            raise unavailable("live frames cannot be followed") from error
        finally:
            self._pubsub = None


def _to_batch(message: dict[str, Any]) -> tuple[str, LiveBatch]:
    said = orjson.loads(message["data"])
    frames = tuple(_to_frame(frame) for frame in said["frames"])
    stream = message["channel"].decode().removeprefix(PREFIX)
    return stream, LiveBatch(said["call"], said["generation"], said["first"], frames)


def _to_frame(stored: bytes | str) -> LiveFrame:
    said = orjson.loads(stored)
    return LiveFrame(said["type"], said["data"], said["at"])

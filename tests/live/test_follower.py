"""The follower of live frames ends with its task, whatever its client makes of a cancellation."""

import asyncio
from typing import Any

import pytest
from redis.asyncio.client import PubSub

from adapters.redis.live.reader import RedisLiveReads


async def test_a_cancellation_that_the_client_takes_for_a_timeout_ends_it(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = PubSub.get_message

    async def get_message(self: PubSub, *args: Any, **more: Any) -> Any:
        try:
            return await given(self, *args, **more)
        except asyncio.CancelledError:  # as it does where its own timeout expires in the same moment
            return None

    monkeypatch.setattr(PubSub, "get_message", get_message)
    reads, follows = RedisLiveReads.connect(redis_url), asyncio.Event()

    async def follow() -> None:
        async for _ in reads.follow(lambda: ["s1"]).batches():
            follows.set()

    task = asyncio.create_task(follow())
    await follows.wait()
    await asyncio.sleep(0.05)  # until it waits for a message
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    await reads.aclose()

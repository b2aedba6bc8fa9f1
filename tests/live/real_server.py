"""The API of a system behind uvicorn, on a port of its own, and what odd clients send to it."""

import asyncio
import json
import random
import socket as sockets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection

from runtime.processes.api import StreamEndingServer, server_config
from tests.system import System


@asynccontextmanager
async def serving(system: System) -> AsyncIterator[str]:
    """The system's API on a port of its own; the application was started before."""
    with sockets.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = StreamEndingServer(server_config(system.settings, system.app, lifespan="off"))
        server.capture_signals = _no_signals  # type: ignore[method-assign]
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110  (the server has no event of it)
            await asyncio.sleep(0.01)
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@contextmanager
def _no_signals() -> Iterator[None]:
    yield


async def said(socket: ClientConnection, seconds: float = 10) -> dict[str, Any]:
    return dict(orjson.loads(await asyncio.wait_for(socket.recv(), seconds)))


async def collect(socket: ClientConnection, frames: list[dict[str, Any]]) -> None:
    """Collect frames until the socket is closed."""
    while True:
        frames.append(await said(socket))


ODD: tuple[Any, ...] = (None, True, 0, -1, 1.5, 2**70, "", "\x00", "\ud800", "x" * 5_000, [], {}, [[]], {"type": {}})


def odd_frame(chance: random.Random) -> str | bytes:
    """A frame that a client should not send: broken JSON, wrong types, odd texts, bytes."""
    frame: dict[str, Any] = {"type": chance.choice(["message", "ping", "pong", "", *ODD])}
    for name in ("message", "session_id", "context", "require_approval", "idempotency_key", "other"):
        if chance.random() < 0.5:
            frame[name] = chance.choice(ODD)
    text = json.dumps(frame)
    match chance.randrange(6):
        case 0:
            return text[: chance.randrange(len(text))]
        case 1:
            return chance.randbytes(chance.randrange(50))
        case 2:
            return "[" * 20_000
        case _:
            return text

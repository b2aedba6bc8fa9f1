"""The socket of a tenant's figures: a snapshot, then the figures again whenever they have changed."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from api.http.errors import now
from api.live.feeds import EncodedFrame
from api.live.sockets import Socket
from domain.errors import Unavailable

PERIOD_S = 1.0
"""Seconds between two looks, so between two frames at least."""

ReadFigures = Callable[[], dict[str, Any]]


async def show_figures(socket: Socket, read: ReadFigures) -> None:
    """Send the figures at the top level of a frame, beside `seq`, `type` and `timestamp`."""
    last: bytes | None = None
    seq = 0
    while True:
        try:
            figures = await asyncio.to_thread(read)
        except Unavailable:
            await asyncio.sleep(PERIOD_S)
            continue
        current = orjson.dumps(figures, option=orjson.OPT_SORT_KEYS)
        if current != last:
            seq += 1
            kind = "snapshot" if last is None else "change"
            body = {**figures, "seq": seq, "type": kind, "timestamp": now()}
            await socket.send(EncodedFrame(seq, kind, orjson.dumps(body)))
            last = current
        await asyncio.sleep(PERIOD_S)

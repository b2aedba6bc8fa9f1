"""A WebSocket client of an ASGI application in the same process: frames without a network."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import orjson
from fastapi import FastAPI


class Refusal(Exception):  # noqa: N818  (what a client meets instead of an open socket)
    """The socket was not opened: the status and the body of the response."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body


class SocketClient:
    """One open socket."""

    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope
        self.closed: int | None = None
        self.subprotocol: str | None = None
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def run(self, app: FastAPI) -> None:
        await self._to_app.put({"type": "websocket.connect"})
        await app(self.scope, self._to_app.get, self._from_app.put)

    async def open(self) -> None:
        """Wait for the handshake.

        Raises:
            Refusal: the application refuses it.
        """
        first = await asyncio.wait_for(self._from_app.get(), 10)
        if first["type"] == "websocket.accept":
            self.subprotocol = first.get("subprotocol")
            return
        body = (await self._from_app.get())["body"] if first["type"] == "websocket.http.response.start" else b"{}"
        raise Refusal(first.get("status", 403), orjson.loads(body))

    async def send(self, frame: Any) -> None:
        await self.send_text(orjson.dumps(frame).decode())

    async def send_text(self, text: str) -> None:
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._to_app.put({"type": "websocket.receive", "bytes": data})

    async def leave(self) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1000})

    async def receive(self, seconds: float = 10) -> dict[str, Any] | None:
        """Return the next frame; None once the socket is closed."""
        message = await asyncio.wait_for(self._from_app.get(), seconds)
        if message["type"] == "websocket.close":
            self.closed = message["code"]
            return None
        return dict(orjson.loads(message["text"]))

    async def until(self, kind: str, seconds: float = 20) -> list[dict[str, Any]]:
        """Return the frames up to one of this type."""
        frames: list[dict[str, Any]] = []
        while not frames or frames[-1]["type"] != kind:
            frame = await self.receive(seconds)
            assert frame is not None, f"closed with {self.closed} after {frames}"
            frames.append(frame)
        return frames


@asynccontextmanager
async def connected(
    app: FastAPI, path: str, *, headers: dict[str, str] | None = None, subprotocols: tuple[str, ...] = ()
) -> AsyncIterator[SocketClient]:
    """A socket of the application, which the client leaves in the end."""
    address = urlsplit(path)
    scope = {
        "type": "websocket",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": address.path,
        "raw_path": address.path.encode(),
        "query_string": address.query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *((k.lower().encode(), v.encode()) for k, v in (headers or {}).items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "subprotocols": list(subprotocols),
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }
    client = SocketClient(scope)
    running = asyncio.create_task(client.run(app))
    try:
        await client.open()
        yield client
    finally:
        await client.leave()
        await asyncio.wait_for(asyncio.gather(running), 10)

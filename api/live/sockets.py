"""One WebSocket: frames in and out within bounds, and its end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any

import orjson
import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from api.http.errors import now
from api.http.request_context import from_scope
from api.live.access import CallerWatch
from api.live.feeds import EncodedFrame, TooSlow, encode, error_frame
from domain.errors import DomainError, Invalid, Malformed, RateLimited, Unauthenticated, Unavailable
from domain.live.frames import Frame

MAX_SOCKETS = 2_000
"""Open sockets of a process."""
SEND_S = 10.0
"""Seconds in which a client has to take a frame, or its socket is closed."""
_BURST = 40
_PER_SECOND = 20.0
_MOST_REFUSED = 200
"""Bad frames in a row after which a client is beyond help."""

_NORMAL, _GOING_AWAY, _POLICY, _LATER = 1000, 1001, 1008, 1013

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class SocketCount:
    """The open sockets of a process."""

    def __init__(self, most: int = MAX_SOCKETS) -> None:
        self._most = most
        self._open = 0

    def enter(self) -> None:
        """Count one more.

        Raises:
            Unavailable: there are too many.
        """
        if self._open >= self._most:
            raise Unavailable("this process has as many sockets as it can hold", retry_after=5)
        self._open += 1

    def leave(self) -> None:
        self._open -= 1


class Socket:
    """A socket after its handshake. Frames of a client are handled one by one; what is wrong with one is told to it."""

    def __init__(self, connection: WebSocket, watch: CallerWatch) -> None:
        self._connection = connection
        self._watch = watch
        self._context = from_scope(connection.scope)
        self._sending = asyncio.Lock()
        self._tokens = float(_BURST)
        self._filled_at = monotonic()
        self._refused = 0
        self._log = structlog.get_logger("live")

    async def send(self, frame: EncodedFrame) -> None:
        """Send a frame.

        Raises:
            TimeoutError: the client does not take it.
            WebSocketDisconnect, RuntimeError: the socket is closed.
        """
        async with self._sending, asyncio.timeout(SEND_S):
            await self._connection.send_text(frame.json.decode())

    async def send_batch(self, frames: list[EncodedFrame]) -> None:
        for frame in frames:
            await self.send(frame)

    async def tell(self, kind: str, data: dict[str, Any] | None = None) -> None:
        """Send a frame about the connection."""
        await self.send(encode(Frame(None, kind, data or {}, now())))

    async def tell_error(self, refusal: DomainError) -> None:
        """Tell a refusal that does not end the socket."""
        await self.send(error_frame(refusal))

    async def serve(self, handle: Handler, *pumps: Coroutine[Any, Any, None]) -> None:
        """Accept the socket, handle its frames and run the pumps until one of them, or the client, ends it."""
        await self._connection.accept(subprotocol=self._connection.scope.get("convergio_subprotocol"))
        tasks = [asyncio.create_task(work) for work in (self._receive(handle), self._until_revoked(), *pumps)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = await self._explain(next(iter(done)))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._close(code)

    async def _explain(self, ended: "asyncio.Task[None]") -> int:
        """Tell the client the reason for the end, and return the code of the close."""
        error = ended.exception() if not ended.cancelled() else None
        if error is None:
            return _NORMAL
        if isinstance(error, DomainError):
            with suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
                await self.send(error_frame(error))
            return _LATER if isinstance(error, TooSlow | Unavailable) else _POLICY
        if not isinstance(error, TimeoutError | WebSocketDisconnect | RuntimeError):
            self._log.error("a socket has failed", exc_info=error)
        return _GOING_AWAY

    async def _close(self, code: int) -> None:
        with suppress(RuntimeError, TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(SEND_S):
                if self._connection.application_state is WebSocketState.CONNECTED:
                    await self._connection.close(code)

    async def _until_revoked(self) -> None:
        await self._watch.until_revoked(self._context.given, self._context.caller)
        raise Unauthenticated("this key is no longer in force")

    async def _receive(self, handle: Handler) -> None:
        """Handle the client's frames. Ends when the client leaves.

        Raises:
            RateLimited: one bad frame follows the other.
        """
        while True:
            message = await self._connection.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                await self._handle(message, handle)
                self._refused = 0
            except DomainError as refusal:
                self._refused += 1
                await self.tell_error(refusal)
                if self._refused >= _MOST_REFUSED:
                    raise RateLimited("too many frames that cannot be used") from None

    async def _handle(self, message: Any, handle: Handler) -> None:
        self._take_token()
        frame = parse_frame(message.get("text"))
        if frame["type"] == "ping":
            await self.tell("pong")
            return
        await handle(frame)

    def _take_token(self) -> None:
        """Count a frame.

        Raises:
            RateLimited: the client sends too many.
        """
        moment = monotonic()
        self._tokens = min(_BURST, self._tokens + (moment - self._filled_at) * _PER_SECOND)
        self._filled_at = moment
        if self._tokens < 1:
            raise RateLimited("too many frames at once; send them more slowly", retry_after=1)
        self._tokens -= 1


def parse_frame(text: str | None) -> dict[str, Any]:
    """Return a client's frame.

    Raises:
        Malformed: it is not JSON text.
        Invalid: it is not an object with a `type`.
    """
    if text is None:
        raise Malformed("a frame is JSON text, not bytes")
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Malformed("the frame is not valid JSON") from None
    except RecursionError:
        raise Malformed("the frame is nested too deeply") from None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise Invalid("a frame is an object with a type", field="type")
    return frame


async def refuse_frames(frame: dict[str, Any]) -> None:
    """Refuse a frame on a socket that takes none but `ping`.

    Raises:
        Invalid: always.
    """
    raise Invalid(f"this socket takes no frames of the type {frame['type'][:40]!r}", field="type")

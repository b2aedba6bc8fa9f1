"""The HTTP protocol of the server, for uvicorn's setting `http`, with limits that apply before authentication."""

import asyncio
import resource
from functools import lru_cache
from typing import Any, Literal
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.errors import Failure

MAX_HEAD = 64 * 1024
"""Maximum bytes of a request line and its headers together."""

HEAD_TIMEOUT_S = 10.0
"""Seconds for the head of a connection's first request, and for the head of a request that has begun."""

BODY_TIMEOUT_S = 60.0
"""Seconds for the whole body of a request after its head."""

MAX_CONNECTIONS = 4096
"""Maximum connections of a process, if its limit of open files allows as many."""

_OTHER_FILES = 120
"""Open files reserved for other uses: connections to the database, Temporal and Valkey, and logs."""
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@lru_cache(maxsize=1)
def max_connections() -> int:
    """Return the maximum number of connections of this process; the limit of open files is read once."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, max(files - _OTHER_FILES, files // 2)))


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits; refusals use the error envelope.

    The parser has no limits: it buffers a header of any length before its next callback. So the bytes since the last
    callback are counted. When connections run out, the one that has been without a complete request for the longest is
    closed, so that idle connections lock nobody out.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._reading: Literal["nothing", "head", "body"] = "nothing"
        self._since = 0.0
        self._unheard = 0
        self._is_heard = False
        self._is_refused = False
        self._is_upgraded = False
        self._deadline: asyncio.TimerHandle | None = None
        self._awaited: str | None = None

    @property
    def is_idle(self) -> bool:
        """True while no complete request is being answered, or the client does not read the response."""
        is_answering = self.cycle is not None and not self.cycle.response_complete and not self.flow.write_paused
        return self._reading != "nothing" or not is_answering

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._since = self.loop.time()
        self._set_deadline("head", HEAD_TIMEOUT_S)
        if len(self.connections) > max_connections():
            self._close_oldest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._is_heard = False
        self._unheard += len(data)
        super().data_received(data)
        if self._is_refused or self._is_upgraded or self.transport.is_closing():
            self._set_deadline(None)
            return
        if self._is_heard:
            self._unheard = 0
        elif self._unheard > MAX_HEAD:
            self._refuse_head()
            return
        self._update_deadline()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading, self._since = "head", self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading == "head":  # trailers are ignored: they were not there when the key was checked
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._reading, self._is_heard = "body", True
        if self._unheard > MAX_HEAD and self._head_size() > MAX_HEAD:
            self._refuse_head()
        if not self._is_refused:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._is_heard = True
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading, self._is_heard = "nothing", True
        if not self._is_refused:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; a deadline of this protocol would write into the other one's stream."""
        self._is_upgraded = True
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "BAD_REQUEST", msg)

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _refuse_head(self) -> None:
        self._refuse(431, "BAD_REQUEST", f"the request line and headers exceed {MAX_HEAD} bytes")

    def _close_oldest(self) -> None:
        others = [
            each
            for each in self.connections
            if isinstance(each, BoundedHttpProtocol) and each is not self and each.is_idle
        ]
        if not others:
            self._refuse(503, "SERVICE_UNAVAILABLE", "too many connections; try again in a moment")
            return
        oldest = min(others, key=lambda each: each._since)  # noqa: SLF001  (another instance of this class)
        self.connections.discard(oldest)
        oldest.transport.abort()

    def _update_deadline(self) -> None:
        """Set a deadline for a request that has begun; most requests arrive in one piece and need no timer."""
        if self._reading == "body":
            awaited = "body"
        elif self._reading == "nothing" and self._is_heard:
            awaited = None
        else:  # a head that has begun, or empty lines before one
            awaited = "head"
        if awaited != self._awaited:
            self._set_deadline(awaited, HEAD_TIMEOUT_S if awaited == "head" else BODY_TIMEOUT_S)

    def _set_deadline(self, what: str | None, within_s: float = 0.0) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._awaited = what
        if what is not None:
            self._deadline = self.loop.call_later(within_s, self._on_deadline)

    def _on_deadline(self) -> None:
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # this server has paused reading: an earlier request is being answered
            self._set_deadline(self._awaited, BODY_TIMEOUT_S)
        elif self._reading == "nothing" or (self.cycle is not None and self.cycle.response_started):
            self.transport.close()
        else:
            self._refuse(408, "BAD_REQUEST", f"the request's {self._reading} did not arrive in time")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Send an error and close the connection."""
        self._is_refused = True
        if self.transport.is_closing():
            return
        request_id = f"req_{uuid4().hex}"
        body = Failure(status, code, message).body(request_id)
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"x-request-id: {request_id}",
            "x-content-type-options: nosniff",
            "connection: close",
        )
        self.transport.write("\r\n".join((*head, "", "")).encode("ascii") + body)
        self.transport.close()

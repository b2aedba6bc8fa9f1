"""What is known about the request at hand. Made once, at the edge; read by whatever comes further in."""

import re
from contextvars import ContextVar
from time import perf_counter
from typing import Any, cast
from uuid import uuid4

from api.http.caller import ANONYMOUS, Caller

Header = tuple[bytes, bytes]

_LONGEST_CLIENT = 64  # a proxy's word for it is as long as the proxy likes
_SANE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestContext:
    """One request. `headers` go out with the answer, whoever gives it; `body` is what was sent, once it is read.

    `joins`: the same request again, under its idempotency key, joins the same work and tells how it stands.
    """

    __slots__ = (
        "body",
        "caller",
        "client",
        "given",
        "headers",
        "joins",
        "json",
        "method",
        "path",
        "request_id",
        "started",
    )

    def __init__(self, scope: Any) -> None:
        self.given: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.client: str = client[0][:_LONGEST_CLIENT] if client else "local"
        self.request_id = _request_id(self.given.get(b"x-request-id"))
        self.caller: Caller = ANONYMOUS
        self.headers: list[Header] = []
        self.body = b""
        self.joins = False
        self.json: Any = None
        self.started = perf_counter()

    def add_header(self, name: str, value: str) -> None:
        """Send this header with the answer."""
        self.headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def elapsed_ms(self) -> int:
        """Milliseconds since the request came in."""
        return round((perf_counter() - self.started) * 1000)


CURRENT: ContextVar[RequestContext] = ContextVar("request")


def of(scope: Any) -> RequestContext:
    """The context of this ASGI scope."""
    return cast("RequestContext", scope["convergio"])


async def current() -> RequestContext:
    """The request at hand, as a FastAPI dependency."""
    return CURRENT.get()


def _request_id(given: bytes | None) -> str:
    if given is not None and _SANE_ID.fullmatch(given):
        return given.decode("ascii")
    return f"req_{uuid4().hex}"

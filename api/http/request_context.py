"""The context of the current request, created by the outermost middleware and read by all others."""

import re
from contextvars import ContextVar
from datetime import datetime
from time import perf_counter
from typing import Any, cast
from uuid import uuid4

from api.http.caller import ANONYMOUS, Caller
from domain.events import Cause

Header = tuple[bytes, bytes]

_MAX_CLIENT = 64  # a proxy may send text of any length
_VALID_ID = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestContext:
    """One request. `headers` are added to its response; `body` is the raw body once it is read.

    `joins`: a repeat with the same idempotency key joins the same work and reports its state. `unstored`: fields of the
    response that are left out where it is stored for repeats, such as secrets. `rounded`: the body had an integer
    beyond 64 bits, which was replaced by the nearest floating-point number.
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
        "rounded",
        "started",
        "unstored",
    )

    def __init__(self, scope: Any) -> None:
        self.given: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        client = scope.get("client")
        self.client: str = client[0][:_MAX_CLIENT] if client else "local"
        self.request_id = _request_id(self.given.get(b"x-request-id"))
        self.caller: Caller = ANONYMOUS
        self.headers: list[Header] = []
        self.body = b""
        self.joins = False
        self.rounded = False
        self.json: Any = None
        self.unstored: frozenset[str] = frozenset()
        self.started = perf_counter()

    def cause(self, at: datetime, tenant_id: str | None = None) -> Cause:
        """Return the cause of a change by this request: the caller, in its tenant if no other one is named."""
        return Cause(self.caller.id, self.request_id, at, self.caller.tenant_id if tenant_id is None else tenant_id)

    def add_header(self, name: str, value: str) -> None:
        """Add a header to the response."""
        self.headers.append((name.lower().encode("latin-1"), value.encode("latin-1")))

    def elapsed_ms(self) -> int:
        """Return the milliseconds since the request arrived."""
        return round((perf_counter() - self.started) * 1000)


CURRENT: ContextVar[RequestContext] = ContextVar("request")


def from_scope(scope: Any) -> RequestContext:
    """Return the context of this ASGI scope."""
    return cast("RequestContext", scope["convergio"])


async def current() -> RequestContext:
    """Return the current request, as a FastAPI dependency."""
    return CURRENT.get()


def _request_id(given: bytes | None) -> str:
    if given is not None and _VALID_ID.fullmatch(given):
        return given.decode("ascii")
    return f"req_{uuid4().hex}"

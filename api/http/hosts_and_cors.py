"""Host names that this API serves, and web origins that may call it."""

import re
from collections.abc import Iterable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from api.http import request_context as context
from api.http.request_context import RequestContext
from domain.errors import Forbidden, Malformed

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?", re.IGNORECASE)
_LOOPBACK = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALLOWED_HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-API-Key, X-Request-ID, "
    "Traceparent"
)
_EXPOSED_HEADERS = (
    "ETag, Idempotency-Replayed, Location, Retry-After, X-Convergio-Stale, X-RateLimit-Limit, X-RateLimit-Remaining, "
    "X-RateLimit-Reset, X-Request-ID"
)


class TrustedHosts:
    """Refuses requests for other host names: they come from DNS rebinding or a misconfigured proxy.

    `hosts` are names without a port, `*.example.com` for all subdomains, `*` for any.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str]) -> None:
        self._app = app
        names = [host.lower() for host in hosts]
        self._any = "*" in names
        self._names = frozenset(f"[{name}]" if name.count(":") > 1 and name[0] != "[" else name for name in names)
        self._below = tuple(name[1:] for name in names if name.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._any and scope["type"] != "lifespan" and not self._trusts(dict(scope["headers"]).get(b"host", b"")):
            if scope["type"] == "websocket":
                await _close(send)
                return
            raise Malformed("this host name is not served here", field="Host")
        await self._app(scope, receive, send)

    def _trusts(self, header: bytes) -> bool:
        found = _HOST.fullmatch(header.decode("latin-1"))
        if found is None:
            return False
        name = found["name"].lower()
        return name in self._names or (bool(self._below) and name.endswith(self._below))


class CorsPolicy:
    """CORS. Pages of other origins can neither read responses nor change anything, with or without a preflight.

    With `loopback`, origins on this machine are allowed.
    """

    def __init__(self, app: ASGIApp, *, origins: Iterable[str], loopback: bool) -> None:
        self._app = app
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._any = "*" in self._origins
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = context.from_scope(scope)
            origin = request.given.get(b"origin")
            if origin is not None and await self._answer_preflight(request, origin.decode("latin-1"), scope, send):
                return
        elif scope["type"] == "websocket" and not self._may_open(scope):
            await _close(send)
            return
        await self._app(scope, receive, send)

    async def _answer_preflight(self, request: RequestContext, origin: str, scope: Scope, send: Send) -> bool:
        request.add_header("vary", "Origin")
        allowed = self._allows(origin) or _is_same_origin(origin, request.given.get(b"host", b""))
        preflight = request.method == "OPTIONS" and b"access-control-request-method" in request.given
        if not allowed:
            if preflight or request.method not in _SAFE:
                raise Forbidden("pages of this origin may not call this API", origin=origin[:200])
            return False
        request.add_header("access-control-allow-origin", "*" if self._any else origin)
        if not preflight:
            request.add_header("access-control-expose-headers", _EXPOSED_HEADERS)
            return False
        scope["route"] = _Preflight
        await _allow(request, send)
        return True

    def _allows(self, origin: str) -> bool:
        plain = origin.lower()
        return self._any or plain in self._origins or (self._loopback and _LOOPBACK.fullmatch(plain) is not None)

    def _may_open(self, scope: Scope) -> bool:
        headers = dict(scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        return not origin or self._allows(origin) or _is_same_origin(origin, headers.get(b"host", b""))


class _Preflight:
    path = "preflight"


def _is_same_origin(origin: str, host: bytes) -> bool:
    """Return whether the page was served by this host."""
    return origin.partition("://")[2].lower() == host.decode("latin-1").lower()


async def _allow(request: RequestContext, send: Send) -> None:
    request.add_header("access-control-allow-methods", _METHODS)
    request.add_header("access-control-allow-headers", _ALLOWED_HEADERS)
    request.add_header("access-control-max-age", "600")
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _close(send: Any) -> None:
    await send({"type": "websocket.close", "code": 1008, "reason": "origin or host not allowed"})

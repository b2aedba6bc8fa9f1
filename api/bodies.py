"""What a request may carry: JSON of bounded size and depth, in text that PostgreSQL can hold."""

import re
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import context
from api.context import RequestContext
from api.errors import UnsupportedMediaType
from domain.errors import Invalid, Malformed, TooLarge

MAX_BODY = 1024 * 1024
"""The most bytes of a body, unless its path allows more."""

MAX_DEPTH = 64
"""The most arrays and objects within each other."""

MAX_TARGET = 8192
"""The most bytes of path and query together."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


class Bodies:
    """Reads each body once, checks it and hands it on whole. `larger` names paths with another limit in bytes."""

    def __init__(self, app: ASGIApp, *, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = context.of(scope)
            _check_target(request.path, scope["query_string"])
            if request.method not in _BODILESS:
                request.body = await self._read(request, receive)
                receive = _replay(request.body, receive)
                if request.body:
                    request.json = _parsed(request)
        await self._app(scope, receive, send)

    async def _read(self, request: RequestContext, receive: Receive) -> bytes:
        limit = self._larger.get(request.path, MAX_BODY)
        if int(request.given.get(b"content-length", b"0")) > limit:
            raise _too_large(request, limit)
        message = await receive()
        if not message.get("more_body"):
            return _chunk(message, request, limit, 0)
        chunks, size = [], 0
        while True:
            chunks.append(_chunk(message, request, limit, size))
            size += len(chunks[-1])
            if not message.get("more_body"):
                return b"".join(chunks)
            message = await receive()


def _chunk(message: Message, request: RequestContext, limit: int, before: int) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    chunk: bytes = message.get("body", b"")
    if before + len(chunk) > limit:
        raise _too_large(request, limit)
    return chunk


def _too_large(request: RequestContext, limit: int) -> TooLarge:
    request.headers.append((b"connection", b"close"))  # the rest of the body is not worth reading
    return TooLarge(f"the body may have {limit} bytes at most", limit=limit)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message; then whatever the server says next, such as that the client has gone."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _parsed(request: RequestContext) -> Any:
    if not _JSON.fullmatch(request.given.get(b"content-type", b"")):
        raise UnsupportedMediaType("send the body as application/json")
    if request.given.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("send the body without a content encoding")
    body = request.body
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _too_deep(body):
        raise Invalid(f"the body is nested deeper than {MAX_DEPTH} levels", field="body", reason="nested too deep")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is no JSON: {error.msg} at character {error.pos}") from error
    if b"\\u0000" in body and (where := _nul(value)) is not None:
        raise Invalid(
            f"{where or 'body'}: NUL characters are not accepted", field=where or "body", reason="holds a NUL"
        )
    return value


def _too_deep(body: bytes) -> bool:
    depth = 0
    for found in _BRACKETS.finditer(body):
        first = found.group()[0]
        depth += 1 if first in b"[{" else -1 if first in b"]}" else 0
        if depth > MAX_DEPTH:
            return True
    return False


def _nul(value: Any) -> str | None:
    """The path to the first text with a NUL, such as `context.user_id`. Recursion is bounded by `MAX_DEPTH`."""
    if isinstance(value, str):
        return "" if "\0" in value else None
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inner:
        if isinstance(name, str) and "\0" in name:
            return name.replace("\0", "\\u0000")
        if (where := _nul(part)) is not None:
            return f"{name}.{where}" if where else str(name)
    return None


def _check_target(path: str, query: bytes) -> None:
    if len(path) + len(query) > MAX_TARGET:
        raise Malformed(f"path and query may have {MAX_TARGET} bytes at most")
    if "\0" in path or b"%00" in query:
        raise Invalid("NUL characters are not accepted in path or query", field="url", reason="holds a NUL")

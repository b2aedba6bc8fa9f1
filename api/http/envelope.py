"""The success envelope, on request: `{success, data, timestamp, request_id}` around every JSON response."""

from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import request_context as context
from api.http.errors import now
from api.http.request_context import Header

MEDIA_TYPE = "application/vnd.convergio.envelope+json"
_MEDIA_TYPE = MEDIA_TYPE.encode()
_FIRST_FAILURE = 400


class Envelope:
    """Wraps JSON responses below 400 without parsing them. Other requests cost two lookups."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = context.from_scope(scope)
            by_type = _MEDIA_TYPE in request.given.get(b"accept", b"").lower()
            if by_type or _is_requested(scope["query_string"]):
                send = _EnvelopeWriter(request.request_id, send, media_type=_MEDIA_TYPE if by_type else None).send
        await self._app(scope, receive, send)


def _is_requested(query: bytes) -> bool:
    if b"envelope" not in query:
        return False
    return parse_qs(query.decode("latin-1")).get("envelope", [""])[-1].lower() in {"true", "1"}


class _EnvelopeWriter:
    """Writes text before the first and after the last chunk of a JSON body, and corrects the length."""

    def __init__(self, request_id: str, send: Send, *, media_type: bytes | None) -> None:
        self._send = send
        self._media_type = media_type
        self._before = b'{"success":true,"data":'
        self._after = b',"timestamp":"%s","request_id":"%s"}' % (now().encode(), _escape(request_id))
        self._wraps = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._wraps = message["status"] < _FIRST_FAILURE and _is_json(message["headers"])
            if self._wraps:
                message["headers"] = [self._adjust_header(header) for header in message["headers"]]
        elif self._wraps and message["type"] == "http.response.body":
            last = not message.get("more_body")
            message["body"] = self._before + message.get("body", b"") + (self._after if last else b"")
            self._before = b""
        await self._send(message)

    def _adjust_header(self, header: Header) -> Header:
        name, value = header
        if name == b"content-length":
            return name, b"%d" % (int(value) + len(self._before) + len(self._after))
        if name == b"content-type" and self._media_type:
            return name, self._media_type
        return header


def _is_json(headers: Sequence[Header]) -> bool:
    return any(name == b"content-type" and value.startswith(b"application/json") for name, value in headers)


def _escape(request_id: str) -> bytes:
    return request_id.replace("\\", "\\\\").replace('"', '\\"').encode("ascii")

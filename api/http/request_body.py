"""Request bodies: JSON of bounded size and depth, without text that PostgreSQL cannot store; YAML, CSV and forms."""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import request_context as context
from api.http.errors import UnsupportedMediaType
from api.http.request_context import RequestContext
from api.http.schemas import MAX_INT
from domain.errors import Invalid, Malformed, TooLarge
from domain.json_bounds import find_nul, is_deeper, is_text_deeper

MAX_BODY = 1024 * 1024
"""Maximum bytes of a body, unless its path allows more."""

MAX_DEPTH = 64
"""Maximum nesting of arrays and objects."""

MAX_TARGET = 8192
"""Maximum bytes of path and query together."""

MAX_YAML = 128 * 1024
"""Maximum bytes of a YAML body, which takes a hundred times as long to parse as JSON."""

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})
_JSON = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)
_YAML = re.compile(rb"(?:application|text)/(?:[a-z0-9.+-]+\+|x-)?yaml\s*(?:;.*)?", re.IGNORECASE)
_CSV = re.compile(rb"text/csv\s*(?:;.*)?", re.IGNORECASE)
_FORM = re.compile(rb"multipart/form-data\s*;(?:.*;)?\s*boundary=\"?([^\";]{1,70})\"?.*", re.IGNORECASE)
_LONG = b"0" * 19
_TO_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
"""Maps digits to zero, in which a plain search finds long numbers, twenty times as fast as a pattern."""
_MAX_DIGITS = 20  # including the sign


@dataclass(frozen=True, slots=True)
class YamlBodies:
    """Paths whose body may be YAML, and its parser; `read` raises `Malformed`.

    `read_json` parses JSON as strictly: a repeated key is refused, as its meaning is ambiguous.
    """

    paths: re.Pattern[str]
    read: Callable[[str], Any]
    read_json: Callable[[str], Any] = orjson.loads

    def is_sent(self, request: RequestContext) -> bool:
        return bool(self.paths.fullmatch(request.path) and _YAML.fullmatch(_content_type(request)))


class RequestBodies:
    """Reads each body once, checks it and passes it on as one message. `larger` are other byte limits by path.

    `csv` are the paths whose body is a CSV table: its text is the request's `json`. `forms` are those whose body is a
    form with files: `json` is a hash of it.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        larger: Mapping[str, int] | None = None,
        yaml: YamlBodies | None = None,
        csv: Collection[str] = (),
        forms: Collection[str] = (),
    ) -> None:
        self._app = app
        self._larger = larger or {}
        self._yaml = yaml
        self._csv = frozenset(csv)
        self._forms = frozenset(forms)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = context.from_scope(scope)
            _check_target(request.path, scope["query_string"])
            if request.method not in _BODILESS:
                request.body = await self._read(request, receive)
                if self._yaml and request.body and self._yaml.is_sent(request):
                    scope = await _as_json(scope, request, self._yaml)
                if sent := request.body:
                    request.json = self._parser(request)(request)
                    if self._yaml and self._yaml.paths.fullmatch(request.path):
                        await asyncio.to_thread(self._yaml.read_json, sent.decode())
                receive = _replay(request.body, receive)
        await self._app(scope, receive, send)

    def _parser(self, request: RequestContext) -> Callable[[RequestContext], Any]:
        if request.path in self._forms:
            return _hash_form
        return _parse_csv if request.path in self._csv else _parse

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
    request.headers.append((b"connection", b"close"))  # the rest of the body is not read
    return TooLarge(f"the body exceeds {limit} bytes", limit=limit)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a receiver of the body as one message, and then of the server's further messages, such as a disconnect."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _as_json(scope: Scope, request: RequestContext, yaml: YamlBodies) -> Scope:
    """Replace a YAML body with JSON, the only format that the routes parse."""
    if len(request.body) > MAX_YAML:
        raise _too_large(request, MAX_YAML)
    try:
        request.body = orjson.dumps(await asyncio.to_thread(yaml.read, request.body.decode()))
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    except orjson.JSONEncodeError as error:
        raise Malformed(f"the body cannot be represented as JSON: {error}") from None
    request.given[b"content-type"] = b"application/json"
    rest = [(name, value) for name, value in scope["headers"] if name not in {b"content-type", b"content-length"}]
    return {**scope, "headers": [*rest, (b"content-type", b"application/json")]}


def _content_type(request: RequestContext) -> bytes:
    return request.given.get(b"content-type", b"")


def _parse_csv(request: RequestContext) -> str:
    if not _CSV.fullmatch(_content_type(request)):
        raise UnsupportedMediaType("send the body as text/csv")
    _refuse_encoding(request)
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise Malformed("the body is not UTF-8") from None
    if "\0" in text:
        raise Invalid("body: NUL characters are not accepted", field="body", reason="contains a NUL")
    return text


def _hash_form(request: RequestContext) -> str:
    """Return a hash of the form, which does not depend on the boundary that its sender has chosen."""
    found = _FORM.fullmatch(_content_type(request))
    if found is None:
        raise UnsupportedMediaType("send the body as multipart/form-data with a boundary")
    _refuse_encoding(request)
    return sha256(request.body.replace(found[1], b"")).hexdigest()


def _refuse_encoding(request: RequestContext) -> None:
    if request.given.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("send the body without a content encoding")


def _parse(request: RequestContext) -> Any:
    if not _JSON.fullmatch(_content_type(request)):
        raise UnsupportedMediaType("send the body as application/json")
    _refuse_encoding(request)
    body = request.body
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if is_text_deeper(body, MAX_DEPTH):  # deeper than the parser goes, as a rule
            raise _too_deep() from error
        raise Malformed(f"the body is not valid JSON: {error.msg} at character {error.pos}") from error
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        raise _too_deep()
    if _LONG in body.translate(_TO_ZERO):
        # JSON parsers differ on integers beyond 64 bits, and most serialisers refuse them: they are replaced here.
        value = json.loads(body, parse_int=partial(_parse_integer, request))
        request.body = orjson.dumps(value)
    if b"\\u0000" in body and (where := find_nul(value)) is not None:
        raise Invalid(
            f"{where or 'body'}: NUL characters are not accepted", field=where or "body", reason="contains a NUL"
        )
    return value


def _parse_integer(request: RequestContext, digits: str) -> int | float:
    """Return an integer, or the nearest floating-point number if it does not fit 64 bits."""
    number = int(digits) if len(digits) <= _MAX_DIGITS else None  # parsing more is quadratic
    if number is not None and -MAX_INT - 1 <= number <= MAX_INT:
        return number
    request.rounded = True
    return float(digits)


def _too_deep() -> Invalid:
    return Invalid(f"the body is nested deeper than {MAX_DEPTH} levels", field="body", reason="nested too deep")


def _check_target(path: str, query: bytes) -> None:
    if len(path) + len(query) > MAX_TARGET:
        raise Malformed(f"path and query exceed {MAX_TARGET} bytes")
    if "\0" in path or b"%00" in query:
        raise Invalid("NUL characters are not accepted in path or query", field="url", reason="contains a NUL")

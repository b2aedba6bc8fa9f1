"""The outermost middleware: request ids, the access log, common response headers, unexpected errors as envelopes."""

from time import perf_counter
from typing import Any

import structlog
from opentelemetry.trace import get_current_span
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, reset_contextvars

from api.http.errors import Failure, to_failure
from api.http.metrics import WebMetrics
from api.http.request_context import CURRENT, Header, RequestContext
from domain.governance.ports import NO_RECORDER, RequestRecorder

UNMATCHED = "unmatched"
_CLIENT_CLOSED = 499
_ALWAYS: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_GIVEN: tuple[Header, ...] = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_HTTPS: Header = (b"strict-transport-security", b"max-age=31536000")
UNTRACED = ("/health", "/metrics")
"""Paths of probes, whose requests have no span and are logged at debug level."""


class AccessLog:
    """Wraps the whole web layer: each request gets exactly one response, which is counted and logged."""

    def __init__(self, app: ASGIApp, *, metrics: WebMetrics, requests: RequestRecorder = NO_RECORDER) -> None:
        self._app = app
        self._metrics = metrics
        self._requests = requests
        self._log = structlog.get_logger("convergio.api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        context = RequestContext(scope)
        # HEAD is routed as GET; the server drops the body because its own copy of the scope still says HEAD
        scope = {**scope, "method": "GET"} if context.method == "HEAD" else scope
        scope["convergio"] = context
        mine = CURRENT.set(context)
        bound = bind_contextvars(request_id=context.request_id)
        exchange = _Exchange(scope, context, send)
        self._metrics.in_flight.inc()
        try:
            await self._answer(scope, receive, exchange)
        finally:
            self._metrics.in_flight.dec()
            self._log_request(scope, context, exchange.status)
            reset_contextvars(**bound)
            CURRENT.reset(mine)

    async def _answer(self, scope: Scope, receive: Receive, exchange: "_Exchange") -> None:
        try:
            await self._app(scope, receive, exchange.send)
        except ClientDisconnect:
            return
        except Exception as error:  # the last place where an unexpected error can become a response
            failure = to_failure(error)
            if failure.code == "INTERNAL_ERROR":
                self._log.exception("request failed", route=_route(scope), method=exchange.context.method)
            if (
                exchange.status != _CLIENT_CLOSED
            ):  # the response has started: only a broken connection shows the failure
                raise
            await exchange.fail(failure)

    def _log_request(self, scope: Scope, context: RequestContext, status: int) -> None:
        seconds = perf_counter() - context.started
        route = _route(scope)
        self._metrics.count_response(route, context.method, status, seconds)
        self._requests.note(route, context.method, status, seconds, context.caller.tenant_id)
        say = self._log.debug if context.path.startswith(UNTRACED) else self._log.info
        say(
            "request",
            method=context.method,
            route=route,
            status=status,
            duration_ms=round(seconds * 1000, 2),
            tenant=context.caller.tenant_id,
            caller=context.caller.id,
            client=context.client,
        )


class _Exchange:
    """Adds the headers common to all responses, and remembers the status."""

    __slots__ = ("_scope", "_send", "context", "status")

    def __init__(self, scope: Scope, context: RequestContext, send: Send) -> None:
        self.context = context
        self.status = _CLIENT_CLOSED
        self._scope = scope
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            _describe_span(self.context, _route(self._scope))
            message["headers"] = self._headers(message["headers"])
        elif self.context.method == "HEAD":
            message = {**message, "body": b""}
        await self._send(message)

    async def fail(self, failure: Failure) -> None:
        for start_or_body in failure_messages(failure, self.context.request_id):
            await self.send(start_or_body)

    def _headers(self, given: Any) -> list[Header]:
        names = {name for name, _ in given}
        headers = [*given, *_ALWAYS, (b"x-request-id", self.context.request_id.encode("ascii")), *self.context.headers]
        headers += [header for header in _UNLESS_GIVEN if header[0] not in names]
        if self._scope["scheme"] == "https":
            headers.append(_HTTPS)
        return headers


def failure_messages(failure: Failure, request_id: str) -> tuple[Message, Message]:
    """Return a failure as the two messages of an ASGI response."""
    body = failure.body(request_id)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in failure.headers]
    start = {"type": "http.response.start", "status": failure.status, "headers": headers}
    return start, {"type": "http.response.body", "body": body}


def _describe_span(context: RequestContext, route: str) -> None:
    """Name the request's span by its route, which FastAPI does for routes of its own router only."""
    span = get_current_span()
    if span.is_recording():
        span.update_name(context.method if route == UNMATCHED else f"{context.method} {route}")
        span.set_attributes({"http.route": route, "convergio.request_id": context.request_id})


def _route(scope: Scope) -> str:
    route = scope.get("route")
    return getattr(route, "path", UNMATCHED)

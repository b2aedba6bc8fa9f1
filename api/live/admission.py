"""The way of a WebSocket through the web layer: its token, its caller, and refusals before it is accepted."""

from urllib.parse import parse_qsl, urlencode

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access_log import failure_messages
from api.http.errors import Failure, to_failure
from api.http.rate_limit import bucket_of
from api.http.request_context import CURRENT, RequestContext, from_scope
from api.live.access import CallerWatch
from domain.errors import DomainError, Forbidden, RateLimited, Unauthenticated
from domain.governance.ports import RateLimiter
from domain.keys.policy import KEY_PREFIX

PROTOCOL = "convergio"
"""The subprotocol of sockets; a client that sends its key as a second one gets this one back."""
_BEARER = "bearer"
_POLICY_VIOLATION = 1008


class SocketTokens:
    """Moves a socket's token to where requests have theirs. It must not stay in the address: servers log that."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            _move_token(scope)
        await self._app(scope, receive, send)


def _move_token(scope: Scope) -> None:
    """Take the token out of the address, in the scope that the server itself logs."""
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in query if name == "token" and value]
    if len(query) and any(name == "token" for name, _ in query):
        scope["query_string"] = urlencode([pair for pair in query if pair[0] != "token"]).encode("latin-1")
    offered = [str(each) for each in scope.get("subprotocols", ())]
    scope["convergio_subprotocol"], of_protocol = _choose_protocol(offered)
    token = next(iter(tokens), of_protocol)
    names = {name for name, _ in scope["headers"]}
    if token and not names & {b"authorization", b"x-api-key"}:
        header = (b"authorization", b"Bearer " + token.encode("latin-1", "replace"))
        scope["headers"] = [*scope["headers"], header]


def _choose_protocol(offered: list[str]) -> tuple[str | None, str | None]:
    """Return the subprotocol to accept and the token among those offered.

    A browser closes a socket whose server takes none of them.
    """
    named = [each for each in offered if each in (PROTOCOL, _BEARER)]
    others = [each for each in offered if each not in (PROTOCOL, _BEARER)]
    tokens = [each.removeprefix(f"{_BEARER}.") for each in others if named or each.startswith((KEY_PREFIX, _BEARER))]
    chosen = named or (others if tokens else [])
    return (chosen[0] if chosen else None), (tokens[0] if tokens else None)


class SocketAdmission:
    """Authenticates and limits sockets as requests are. Refusals are responses where the server can send one."""

    def __init__(self, app: ASGIApp, *, watch: CallerWatch, limiter: RateLimiter) -> None:
        self._app = app
        self._watch = watch
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        context = RequestContext({**scope, "method": "GET"})
        scope["convergio"] = context
        mine = CURRENT.set(context)
        try:
            await self._admit(context)
            await self._app(scope, receive, send)
        except DomainError as refusal:
            await deny(scope, send, to_failure(refusal))
        finally:
            CURRENT.reset(mine)

    async def _admit(self, context: RequestContext) -> None:
        wrong: DomainError | None = None
        try:
            context.caller = await self._watch.authenticate(context.given)
        except (Unauthenticated, Forbidden) as error:
            wrong = error
        verdict = await self._limiter.take(bucket_of(context.caller, context.client))
        if verdict is not None and not verdict.allowed:
            wait = max(1, verdict.retry_after)
            raise RateLimited(f"too many requests; try again in {wait} s", retry_after=wait, limit=verdict.limit)
        if wrong is not None:
            raise wrong


async def deny(scope: Scope, send: Send, failure: Failure) -> None:
    """Refuse a socket that was not accepted."""
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": failure.code})
        return
    for message in failure_messages(failure, from_scope(scope).request_id):
        kind: Message = {**message, "type": message["type"].replace("http.", "websocket.http.", 1)}
        await send(kind)


async def deny_connection(connection: HTTPConnection, failure: Failure) -> None:
    """Refuse the socket of a route's connection."""
    await deny(connection.scope, connection._send, failure)  # type: ignore[attr-defined]  # noqa: SLF001

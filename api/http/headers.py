"""Headers that may occur only once: a proxy before this server may have read the other value of a repeated one."""

from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import Malformed

SINGLE = frozenset(
    {
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"if-match",
        b"last-event-id",
        b"origin",
        b"x-api-key",
    }
)

SINGLE_PREFIX = b"ce-"
"""What the attributes of a CloudEvent begin with."""


class SingleHeaders:
    """Refuses requests that repeat such a header, even with the same value."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            _refuse_repeated(scope)
        elif scope["type"] == "websocket" and _find_repeated(scope):
            await send({"type": "websocket.close", "code": 1008})
            return
        await self._app(scope, receive, send)


def _refuse_repeated(scope: Scope) -> None:
    if name := _find_repeated(scope):
        raise Malformed(f"the header {name} is repeated", field=name)


def _find_repeated(scope: Scope) -> str | None:
    seen = set()
    for name, _ in scope["headers"]:
        if name in SINGLE or name.startswith(SINGLE_PREFIX):
            if name in seen:
                return str(name.decode("latin-1"))
            seen.add(name)
    return None

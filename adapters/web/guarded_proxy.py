"""A proxy on loopback for a page without authentication: only pages of its own origin may use it.

Any page on the web can make a browser send requests to loopback. By DNS rebinding such a page even appears to have the
same origin: only its `Host` header gives it away. And a form or script of another page can send a POST without reading
the response: only its `ForkOrigin` header gives it away.
"""

import re
from collections.abc import Iterable

from aiohttp import ClientError, ClientSession, ClientTimeout, web

_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_SAFE = frozenset({"GET", "HEAD"})
_HOP = frozenset(
    {
        "connection",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_CORS_PREFIX = "access-control-"
_ADDED = {"X-Frame-Options": "DENY", "Cross-Origin-Resource-Policy": "same-origin"}


class GuardedProxy:
    """Forwards requests to `target`, an origin such as `http://127.0.0.1:8080`, if they come from its own pages."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._session: ClientSession | None = None
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listen on loopback.

        Raises:
            OSError: the port is in use.
        """
        self._session = ClientSession(auto_decompress=False, timeout=ClientTimeout(total=None, sock_connect=5))
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if reason := _refusal(request):
            return web.Response(status=403, text=f"{reason}\n", headers=_ADDED)
        try:
            return await self._forward(request)
        except ClientError:
            return web.Response(status=502, text="the server behind this page does not respond\n", headers=_ADDED)

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None  # noqa: S101  (for the type checker: it was started)
        async with self._session.request(
            request.method,
            f"{self._target}{request.raw_path}",
            headers=_forwarded_headers(request.headers.items()),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        ) as found:
            response = web.StreamResponse(status=found.status, headers=_forwarded_headers(found.headers.items()))
            response.headers.update(_ADDED)
            await response.prepare(request)
            async for piece in found.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


def _refusal(request: web.Request) -> str | None:
    """Return the reason for which a request is not forwarded; None if it is."""
    hosts, origins = request.headers.getall("Host", []), request.headers.getall("Origin", [])
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return "this page is only served to localhost"
    if any(origin.partition("://")[2].lower() != hosts[0].lower() for origin in origins):
        return "pages of this origin may not use this one"
    if request.method not in _SAFE and len(origins) != 1:
        return "only this page itself may change anything here"
    return None


def _forwarded_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers to forward: none of the connection, and no CORS permissions for other origins."""
    return [each for each in headers if each[0].lower() not in _HOP and not each[0].lower().startswith(_CORS_PREFIX)]

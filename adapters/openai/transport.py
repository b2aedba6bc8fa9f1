"""The HTTP transport under the OpenAI SDK: aiohttp without a limit of connections, cookies or the environment.

The transport that the SDK ships takes no session of ours, so its pool, its cookies and its mapping of errors (a server
that hangs up counts as a timeout) cannot be set, and a refusal's body is read without a bound.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import httpx2

KEEPALIVE_SECONDS = 4.0  # common servers close an idle connection after 5 s; a call that races with that is lost
REFUSAL_SECONDS = 2.0  # for the body of an answer without success
REFUSAL_BYTES = 2**20
CLOSES_UNSAID = "llama.cpp"  # closes a connection after a stream though it says it would not: the next call is lost
_SUCCESSES = range(200, 300)
# of no use here, or dangerous: cookies would be kept, bodies come decompressed, a bad location fails the redirect that
# nobody follows, and a charset may name a codec that unpacks
_DROPPED = frozenset({b"set-cookie", b"content-encoding", b"content-type", b"location"})


class ProviderTransport(httpx2.AsyncBaseTransport):
    """Sends requests by one aiohttp session, which is opened by the first of them in the running event loop."""

    def __init__(self) -> None:
        self._opened: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._opened

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response as soon as its head has come.

        Raises:
            httpx2.TransportError: none came.
        """
        timeout = request.extensions.get("timeout", {})
        with _translate_errors():
            response = await self._session.request(
                request.method,
                str(request.url),
                headers=request.headers,
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=timeout.get("connect"), sock_read=timeout.get("read")
                ),
            )
        _close_if_the_server_will(response)
        body = _Body(response) if response.status in _SUCCESSES else _RefusalBody(response)
        return httpx2.Response(response.status, headers=_headers_of(response), stream=body, request=request)

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


class _Body(httpx2.AsyncByteStream):
    """The pieces of a body as they come. An iterator, because generators left in the middle cost a task to end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        with _translate_errors():
            piece = await self._response.content.readany()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Close the connection at once, unless the body has ended: then it is in the pool already."""
        self._response.close()


class _RefusalBody(_Body):
    """The details of a refusal, as far as they come soon; the SDK reads them to their end."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__(response)
        self._until = asyncio.get_running_loop().time() + REFUSAL_SECONDS
        self._left = REFUSAL_BYTES

    async def __anext__(self) -> bytes:
        if self._left <= 0:
            raise StopAsyncIteration
        try:
            async with asyncio.timeout_at(self._until):
                piece = await super().__anext__()
        except (TimeoutError, httpx2.TransportError):
            raise StopAsyncIteration from None
        self._left -= len(piece)
        return piece


def _headers_of(response: aiohttp.ClientResponse) -> httpx2.Headers:
    kept = [
        (name, value.decode(errors="replace").encode())
        for name, value in response.raw_headers
        if name.lower() not in _DROPPED
    ]
    return httpx2.Headers(kept, encoding="utf-8")


def _close_if_the_server_will(response: aiohttp.ClientResponse) -> None:
    protocol = response.connection.protocol if response.connection else None
    if protocol is not None and response.headers.get("Server") == CLOSES_UNSAID:
        protocol.force_close()


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise the errors of aiohttp as those of httpx2, which the SDK knows."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as fault:
        raise httpx2.ConnectError(type(fault).__name__) from fault
    except TimeoutError as fault:  # of silence: no other is set on the session
        raise httpx2.ReadTimeout(type(fault).__name__) from fault
    except aiohttp.ClientResponseError as fault:
        raise httpx2.RemoteProtocolError(type(fault).__name__) from fault
    except (aiohttp.ClientError, OSError) as fault:
        raise httpx2.ReadError(type(fault).__name__) from fault

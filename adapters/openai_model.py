"""Chat models behind any OpenAI-compatible API, over plain aiohttp.

Every turn pays for this call. Measured in one run, answers of three chunks: the official client takes 1.4 to 1.7 ms of
CPU a call with its chunk objects over its aiohttp transport, 0.9 to 1.1 ms when only its raw stream is used; this
takes 0.1 to 0.2 ms.
"""

import asyncio
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import orjson

from adapters.genai_prices import known_context_window
from adapters.openai_failures import (
    NOTHING_MORE,
    Extras,
    cut,
    error_object,
    in_stream,
    of_status,
    of_transport,
    unreadable,
)
from adapters.openai_stream import Arriving, Events
from adapters.openai_tools import extras_of, message_of
from domain.chat.ports import ModelFailure, ModelReply, ModelRequest

CONNECT_SECONDS = 5.0
PROBE_SECONDS = 2.0
KEEPALIVE_SECONDS = 4.0  # common servers close an idle connection after 5 s; a call that races with that is lost
LAST_WORD_SECONDS = 5.0  # for usage and [DONE] after the finish reason
CLOSE_SECONDS = 0.05  # for the end of the body that follows [DONE], without which the connection is not used again
MAX_BODY_BYTES = 2**20  # of anything that is not an answer
OK = 200
LOADING = 503
DEFAULT_WINDOW = 8192
CLOSES_UNSAID = (
    "llama.cpp"  # closes a connection after a stream though it says it would not: the next call would be lost
)
COMPLETION_CAP_HOST = "api.openai.com"  # its reasoning models refuse `max_tokens`; most others know only that


class OpenAIModel:
    """Implements `domain.chat.ports.Model`.

    `base_url` ends where the API's paths begin (`https://api.openai.com/v1`). `timeout_s` bounds each silence between
    two pieces of an answer; the whole call is bounded by the caller, and its cancellation closes the connection.
    `context_window` is the operator's bound in tokens, never above what the provider offers.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None,
        default_model: str,
        timeout_s: float,
        context_window: int | None = None,
        *,
        takes_tools: bool = True,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the model provider's base URL must be an http(s) URL with a host")
        self.default = default_model
        self.takes_tools = takes_tools
        self._key = api_key
        self._url = base_url.rstrip("/")
        self._cap = "max_completion_tokens" if parts.hostname == COMPLETION_CAP_HOST else "max_tokens"
        self._headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=timeout_s)
        self._context_window = context_window
        self._windows: dict[str, int] = {}
        self._opened: aiohttp.ClientSession | None = None

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Stream the answer, calling `on_delta` with each piece of text; see the port.

        Once the provider has given its finish reason the answer stands, whatever happens to the rest of the stream.
        """
        headers = {"X-Client-Request-Id": request.request_id}
        arriving = Arriving(on_delta, Extras(tools=bool(request.tools), schema=request.reply_schema is not None))
        call_id: str | None = None
        try:
            async with self._session.post(
                f"{self._url}/chat/completions", data=self._body(request), headers=headers, allow_redirects=False
            ) as response:
                call_id = response.headers.get("x-request-id")
                await self._receive(response, arriving)
        except ModelFailure as failed:
            if arriving.finish is None:
                raise self._told(failed, arriving, request, call_id) from failed.__cause__
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as fault:
            if arriving.finish is None:
                raise self._told(of_transport(fault), arriving, request, call_id) from fault
        return arriving.reply(request, call_id)

    async def window(self, model: str) -> int:
        """The model's window in tokens: what llama.cpp says of itself, else the price list, else 8192."""
        if (size := self._windows.get(model)) is not None:
            return size
        try:
            offered = await self._offered_window()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return self._bounded(known_context_window(model))  # not remembered: it may know when it is back
        size = self._windows[model] = self._bounded(offered or known_context_window(model))
        return size

    async def probe(self) -> None:
        """Return when the provider lists its models within two seconds."""
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        try:
            async with self._session.get(f"{self._url}/models", timeout=timeout, allow_redirects=False) as response:
                if response.status != OK:
                    raise self._without_key(await refused(response))
                await body_of(response)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as fault:
            raise of_transport(fault) from fault

    async def aclose(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=self._timeout,
            )
        return self._opened

    def _body(self, request: ModelRequest) -> bytes:
        body = {
            "model": request.model,
            "messages": [message_of(message) for message in request.messages],
            self._cap: request.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **extras_of(request),
        }
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return orjson.dumps(body, default=dict)

    async def _receive(self, response: aiohttp.ClientResponse, arriving: Arriving) -> None:
        content = response.content
        if response.status != OK:
            raise await refused(response, arriving.extras)
        if response.content_type != "text/event-stream":
            raise not_a_stream(await body_of(response), arriving.extras)
        used_once(response)
        events = Events()
        while not arriving.ending and (received := await content.readany()):
            arriving.take_all(events.feed(received))
        if not arriving.done:
            async with asyncio.timeout(LAST_WORD_SECONDS):
                while not arriving.done and (received := await content.readany()):
                    arriving.take_all(events.feed(received))
        if arriving.done:
            await until_body_ends(content)
        else:
            finish_or_cut(events, arriving)

    def _told(
        self, failed: ModelFailure, arriving: Arriving, request: ModelRequest, call_id: str | None
    ) -> ModelFailure:
        """The same failure without our key, and with what arrived before it: a begun answer is charged in part."""
        failed.provider_call_id = arriving.id or failed.provider_call_id or call_id
        if arriving.begun:
            failed.charge = "partial"
            failed.usage = arriving.usage(request, whole=False)
        return self._without_key(failed)

    async def _offered_window(self) -> int | None:
        """llama.cpp's window of one slot, from its `/props` beside the API; None from any other server.

        Raises:
            aiohttp.ClientError, TimeoutError, ConnectionError: there is no answer now.
        """
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        url = f"{self._url.removesuffix('/v1')}/props"
        async with self._session.get(url, timeout=timeout, allow_redirects=False) as response:
            if response.status == LOADING:
                response.raise_for_status()
            body = await body_of(response)
        try:
            size = orjson.loads(body)["default_generation_settings"]["n_ctx"]
        except (ValueError, TypeError, LookupError):
            return None
        return size if isinstance(size, int) and size > 0 else None

    def _bounded(self, offered: int | None) -> int:
        return min((size for size in (offered, self._context_window) if size), default=DEFAULT_WINDOW)

    def _without_key(self, failed: ModelFailure) -> ModelFailure:
        """The same failure; some providers quote in their message what was sent to them."""
        if self._key:
            failed.args = (str(failed).replace(self._key, "[key]"),)
        return failed


def used_once(response: aiohttp.ClientResponse) -> None:
    """Keep no connection that the server is about to close without a word."""
    protocol = response.connection.protocol if response.connection else None
    if protocol is not None and response.headers.get("Server") == CLOSES_UNSAID:
        protocol.force_close()


async def body_of(response: aiohttp.ClientResponse) -> bytes:
    """The body, as far as it is of a sensible size."""
    body = b""
    while len(body) < MAX_BODY_BYTES and (received := await response.content.readany()):
        body += received
    return body


async def refused(response: aiohttp.ClientResponse, extras: Extras = NOTHING_MORE) -> ModelFailure:
    """The refusal that the status says, with the body's details as far as they come soon."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            body = await body_of(response)
    except (aiohttp.ClientError, TimeoutError, ConnectionError):
        body = b""
    return of_status(response.status, response.headers, body, extras)


def not_a_stream(body: bytes, extras: Extras) -> ModelFailure:
    """A 200 that is no stream: some gateways wrap their errors so."""
    return in_stream(error_object(body), extras) if b'"error"' in body else unreadable("it is not an event stream")


def finish_or_cut(events: Events, arriving: Arriving) -> None:
    """The body ended without [DONE]: take what its last line holds; without a finish reason the answer was cut."""
    for data in events.end():
        try:
            arriving.take(data)
        except ModelFailure as failed:
            if failed.kind != "unreadable":
                raise
    if not arriving.done and arriving.finish is None:
        raise cut() if arriving.id else unreadable("it holds no answer")


async def until_body_ends(content: aiohttp.StreamReader) -> None:
    if not content.is_eof():
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await content.wait_eof()
        except (TimeoutError, aiohttp.ClientError):
            return

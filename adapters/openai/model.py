"""Chat models behind any OpenAI-compatible API, over plain aiohttp.

Every turn pays for this call. Measured in one run, answers of three chunks: the official client takes 1.4 to 1.7 ms of
CPU a call with its chunk objects over its aiohttp transport, 0.9 to 1.1 ms when only its raw stream is used; this
takes 0.1 to 0.2 ms.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from adapters.genai_prices import known_context_window
from adapters.openai.bounds import name_from
from adapters.openai.error_body import error_object
from adapters.openai.errors import NOTHING_MORE, Extras, failure, of_status, of_transport
from adapters.openai.parameters import REFUSALS, Adaptation, Adaptations, adapted, refused_between, request_body
from adapters.openai.response_body import PROBE_SECONDS, body_of, fault_of, receive, refusal_of, used_once
from adapters.openai.stream import Arriving
from domain.chat.ports import ModelFailure, ModelReply, ModelRequest

CONNECT_SECONDS = 5.0
KEEPALIVE_SECONDS = 4.0  # common servers close an idle connection after 5 s; a call that races with that is lost
OK = 200
SUCCESSES = range(200, 300)  # some gateways create an answer (201)
LOADING = 503
DEFAULT_WINDOW = 8192
_MOST_WINDOWS = 1_000
MAX_WINDOW = 10**8
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
        cap = "max_completion_tokens" if parts.hostname == COMPLETION_CAP_HOST else "max_tokens"
        self._adaptations = Adaptations(Adaptation(cap))
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
        arriving = Arriving(on_delta, Extras(tools=bool(request.tools), schema=request.reply_schema is not None))
        heads: list[str | None] = [None]
        try:
            async with asyncio.timeout(request.longest_s):
                await self._exchange(request, arriving, heads)
        except ModelFailure as failed:
            if not arriving.stands:
                raise self._told(failed, arriving, request, heads[0]) from failed.__cause__
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as fault:
            if not arriving.stands:
                raise self._told(fault_of(fault, arriving), arriving, request, heads[0]) from fault
        try:
            return arriving.reply(request, heads[0])
        except ModelFailure as failed:
            raise self._told(failed, arriving, request, heads[0]) from None

    async def _exchange(self, request: ModelRequest, arriving: Arriving, heads: list[str | None]) -> None:
        """Ask, and take what comes."""
        adaptation = self._adaptations.of(request.model)
        body = request_body(request, adaptation)
        headers = {"X-Client-Request-Id": request.request_id}
        url = f"{self._url}/chat/completions"
        data = orjson.dumps(body, default=dict)
        timeout = self._timeout
        if "stream" not in body and request.longest_s is not None:  # it is silent until it is whole
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS, sock_read=request.longest_s)
        async with self._session.post(
            url, data=data, headers=headers, timeout=timeout, allow_redirects=False
        ) as response:
            heads[0] = name_from(response.headers.get("x-request-id"))
            if response.status not in SUCCESSES:
                refusal = await refusal_of(response)
                failed = of_status(refusal.status, refusal.headers, refusal.body, arriving.extras)
                error = error_object(refusal.body) if refusal.status in REFUSALS else {}
                raise self._learnt(failed, error, request, body, adaptation)
            used_once(response)
            try:
                await receive(response.content, arriving)
            except ModelFailure as failed:
                if arriving.begun:
                    raise
                raise self._learnt(failed, arriving.error, request, body, adaptation) from failed.__cause__

    def _learnt(
        self,
        failed: ModelFailure,
        error: Mapping[str, Any],
        request: ModelRequest,
        body: dict[str, Any],
        adaptation: Adaptation,
    ) -> ModelFailure:
        """The failure; if the error refuses a parameter, the model's next request is made without it."""
        is_about_the_request = failed.kind in ("bad_request", "too_long")
        otherwise = adapted(error, body, adaptation) if error and is_about_the_request else None
        if otherwise is None:
            return failed
        self._adaptations.learn(request.model, otherwise)
        named = refused_between(adaptation, otherwise)
        return failure("unsupported", str(failed), charge="none", refuses="parameter", parameter=named)

    async def window(self, model: str) -> int:
        """The model's window in tokens: what llama.cpp says of itself, else the price list, else 8192."""
        if (size := self._windows.get(model)) is not None:
            return size
        try:
            offered = await self._offered_window()
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            return self._bounded(known_context_window(model))  # not remembered: it may know when it is back
        if len(self._windows) >= _MOST_WINDOWS:  # agents name models as they like
            self._windows.clear()
        size = self._windows[model] = self._bounded(offered or known_context_window(model))
        return size

    async def probe(self) -> None:
        """Return when the provider lists its models within two seconds."""
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        try:
            async with self._session.get(f"{self._url}/models", timeout=timeout, allow_redirects=False) as response:
                if response.status != OK:
                    refusal = await refusal_of(response)
                    raise self._without_key(of_status(refusal.status, refusal.headers, refusal.body, NOTHING_MORE))
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
        return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MAX_WINDOW else None

    def _bounded(self, offered: int | None) -> int:
        return min((size for size in (offered, self._context_window) if size), default=DEFAULT_WINDOW)

    def _without_key(self, failed: ModelFailure) -> ModelFailure:
        """The same failure; some providers quote in their message what was sent to them."""
        if self._key:
            failed.args = (str(failed).replace(self._key, "[key]"),)
        return failed

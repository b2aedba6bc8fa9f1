"""Chat models behind any OpenAI-compatible API: the official client, its raw stream, and a reader of our own.

Real providers send what the client's own parser refuses (`tests/models/habits/`), so it is not asked to parse.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import httpx2
import orjson
from openai import APIConnectionError, APIError, APIStatusError

from adapters.genai_prices import known_context_window
from adapters.openai.bounds import name_from
from adapters.openai.client import ProviderClient
from adapters.openai.error_body import error_object
from adapters.openai.errors import cancelled, failure, of_status, of_transport
from adapters.openai.failure_kind import NOTHING_MORE, Extras
from adapters.openai.parameters import REFUSALS, Adaptation, Adaptations, adapt, refused_parameter, request_body
from adapters.openai.partial_answer import PartialAnswer
from adapters.openai.response_body import body_of, fault_of, receive
from domain.chat.model_port import ModelFailure, ModelReply, ModelRequest

PROBE_SECONDS = 2.0
MAX_BODY_BYTES = 2**20  # of anything that is not an answer
LOADING = 503
DEFAULT_WINDOW = 8192
_MOST_WINDOWS = 1_000
MAX_WINDOW = 10**8
COMPLETION_CAP_HOST = "api.openai.com"  # its reasoning models refuse `max_tokens`; most others know only that
_FAULTS = (APIConnectionError, httpx2.TransportError, TimeoutError)


class OpenAIModel:
    """Implements `domain.chat.model_port.Model`.

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
        self._client = ProviderClient(base_url, api_key, timeout_s)
        self.default = default_model
        self.takes_tools = takes_tools
        self._key = api_key
        cap = "max_completion_tokens" if self._client.base_url.host == COMPLETION_CAP_HOST else "max_tokens"
        self._adaptations = Adaptations(Adaptation(cap))
        self._context_window = context_window
        self._windows: dict[str, int] = {}

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Stream the answer, calling `on_delta` with each piece of text; see the port.

        Once the provider has given its finish reason the answer stands, whatever happens to the rest of the stream.
        """
        arriving = PartialAnswer(on_delta, Extras(tools=bool(request.tools), schema=request.reply_schema is not None))
        heads: list[str | None] = [None]
        try:
            async with asyncio.timeout(request.longest_s):
                await self._exchange(request, arriving, heads)
        except asyncio.CancelledError:
            if arriving.is_billable:
                request.on_broken_off(self._with_arrived(cancelled(), arriving, request, heads[0]))
            raise
        except ModelFailure as failed:
            if not arriving.is_usable:
                raise self._with_arrived(failed, arriving, request, heads[0]) from failed.__cause__
        except _FAULTS as fault:
            if not arriving.is_usable:
                raise self._with_arrived(fault_of(fault, arriving), arriving, request, heads[0]) from fault
        try:
            return arriving.reply(request, heads[0])
        except ModelFailure as failed:
            raise self._with_arrived(failed, arriving, request, heads[0]) from None

    async def _exchange(self, request: ModelRequest, arriving: PartialAnswer, heads: list[str | None]) -> None:
        """Send the request and take the answer."""
        adaptation = self._adaptations.of(request.model)
        body = request_body(request, adaptation)
        headers = {"X-Client-Request-Id": request.request_id}
        content = orjson.dumps(body, default=dict)
        silence_s = None if "stream" in body else request.longest_s  # it is silent until it is whole
        try:
            async with self._client.post_raw("/chat/completions", content, headers, silence_s=silence_s) as response:
                heads[0] = name_from(response.headers.get("x-request-id"))
                await receive(response, arriving)
        except APIStatusError as refused:
            failed = of_status(refused, arriving.extras)
            error = error_object(refused.response.content) if refused.status_code in REFUSALS else {}
            raise self._with_adaptation(failed, error, request, body, adaptation) from None
        except ModelFailure as failed:
            if arriving.is_billable:
                raise
            raise self._with_adaptation(failed, arriving.error, request, body, adaptation) from failed.__cause__

    def _with_adaptation(
        self,
        failed: ModelFailure,
        error: Mapping[str, Any],
        request: ModelRequest,
        body: dict[str, Any],
        adaptation: Adaptation,
    ) -> ModelFailure:
        """The failure; if the error refuses a parameter, the model's next request is made without it."""
        is_about_the_request = failed.kind in ("bad_request", "too_long")
        otherwise = adapt(error, body, adaptation) if error and is_about_the_request else None
        if otherwise is None:
            return failed
        self._adaptations.learn(request.model, otherwise)
        named = refused_parameter(adaptation, otherwise)
        return failure("unsupported", str(failed), charge="none", refuses="parameter", parameter=named)

    async def window(self, model: str) -> int:
        """The model's window in tokens: what llama.cpp says of itself, else the price list, else 8192."""
        if (size := self._windows.get(model)) is not None:
            return size
        try:
            offered = await self._offered_window()
        except (APIError, *_FAULTS):
            return self._limit_window(known_context_window(model))  # not remembered: it may know when it is back
        if len(self._windows) >= _MOST_WINDOWS:  # agents name models as they like
            self._windows.clear()
        size = self._windows[model] = self._limit_window(offered or known_context_window(model))
        return size

    async def probe(self) -> None:
        """Return when the provider lists its models within two seconds."""
        try:
            async with asyncio.timeout(PROBE_SECONDS), self._client.get_raw("/models") as response:
                await body_of(response, most=MAX_BODY_BYTES)
        except APIStatusError as refused:
            raise self._without_key(of_status(refused, NOTHING_MORE)) from None
        except _FAULTS as fault:
            raise of_transport(fault) from fault

    async def aclose(self) -> None:
        await self._client.close()

    def _with_arrived(
        self, failed: ModelFailure, arriving: PartialAnswer, request: ModelRequest, call_id: str | None
    ) -> ModelFailure:
        """The same failure without our key, and with what arrived before it: a begun answer is charged in part."""
        failed.provider_call_id = arriving.id or failed.provider_call_id or call_id
        if arriving.is_billable:
            failed.charge = "partial"
            failed.usage = arriving.usage(request, whole=False)
        return self._without_key(failed)

    async def _offered_window(self) -> int | None:
        """The window of one slot of llama.cpp, from its `/props` beside the API; None from any other server.

        Raises:
            openai.APIError, httpx2.TransportError, TimeoutError: there is no answer now.
        """
        base = self._client.base_url
        props = base.copy_with(path=f"{base.path.rstrip('/').removesuffix('/v1')}/props")
        try:
            async with asyncio.timeout(PROBE_SECONDS), self._client.get_raw(str(props)) as response:
                body = await body_of(response, most=MAX_BODY_BYTES)
        except APIStatusError as refused:
            if refused.status_code == LOADING:
                raise
            return None
        try:
            size = orjson.loads(body)["default_generation_settings"]["n_ctx"]
        except (ValueError, TypeError, LookupError):
            return None
        return size if isinstance(size, int) and not isinstance(size, bool) and 0 < size <= MAX_WINDOW else None

    def _limit_window(self, offered: int | None) -> int:
        return min((size for size in (offered, self._context_window) if size), default=DEFAULT_WINDOW)

    def _without_key(self, failed: ModelFailure) -> ModelFailure:
        """The same failure; some providers quote in their message what was sent to them."""
        if self._key:
            failed.args = (str(failed).replace(self._key, "[key]"),)
        return failed

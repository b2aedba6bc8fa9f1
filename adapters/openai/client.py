"""The OpenAI SDK's client, as every provider is called: no retries, no redirects, nothing from the environment."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import httpx2
from openai import AsyncOpenAI, AsyncStream, Omit

from adapters.openai.transport import ProviderTransport

CONNECT_SECONDS = 5.0
_AZURE_VERSION = "api-version"


class ProviderClient(AsyncOpenAI):
    """A provider's API, whose answers are read as raw streams.

    `base_url` ends where the API's paths begin (`https://api.openai.com/v1`). Its query is sent with every request; one
    that names an `api-version` is Azure's, where the key has a header of its own. `silence_s` bounds the wait for each
    piece of an answer.
    """

    def __init__(self, base_url: str, api_key: str | None, silence_s: float) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("the model provider's base URL must be an http(s) URL with a host")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._azure_key = api_key if _AZURE_VERSION in query else None
        super().__init__(
            api_key="" if self._azure_key else api_key or "",
            admin_api_key="",
            webhook_secret="",
            base_url=urlunsplit(parts._replace(query="", fragment="")),
            default_query=query,
            max_retries=0,
            http_client=httpx2.AsyncClient(transport=ProviderTransport(), trust_env=False, follow_redirects=False),
        )
        self.organization = self.project = None  # which the SDK has read from the environment
        self._silence_s = silence_s

    @property
    def default_headers(self) -> dict[str, str | Omit]:
        """The headers of every call: no description of this machine, and nothing of OPENAI_CUSTOM_HEADERS."""
        return {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
            "User-Agent": self.user_agent,
            **({"api-key": self._azure_key} if self._azure_key else {}),
        }

    @asynccontextmanager
    async def post_raw(
        self, path: str, content: bytes, headers: Mapping[str, str], *, silence_s: float | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """Send JSON and yield the response as soon as its head has come; leaving the context closes it.

        Raises:
            openai.APIStatusError: the status is no success; the body is there as far as it came soon.
            openai.APIConnectionError: there is no answer.
        """
        options = self._options(headers, silence_s)
        raw = await self.post(
            path, cast_to=httpx2.Response, content=content, options=options, stream=True, stream_cls=AsyncStream[Any]
        )
        async with aclosing(cast(httpx2.Response, raw)) as response:
            yield response

    @asynccontextmanager
    async def get_raw(self, path: str) -> AsyncIterator[httpx2.Response]:
        """The same for a GET of a path of the API, or of an absolute URL."""
        options = self._options({}, None)
        raw = await self.get(path, cast_to=httpx2.Response, options=options, stream=True, stream_cls=AsyncStream[Any])
        async with aclosing(cast(httpx2.Response, raw)) as response:
            yield response

    def _options(self, headers: Mapping[str, str], silence_s: float | None) -> Any:
        timeout = httpx2.Timeout(None, connect=CONNECT_SECONDS, read=silence_s or self._silence_s)
        without_key: dict[str, Omit] = {} if self.api_key else {"Authorization": Omit()}
        return {"headers": {**headers, **without_key}, "timeout": timeout}

"""The models that a provider offers, as its own list and the price list name them."""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import orjson

from domain.errors import Unavailable

KEPT_S = 60.0
"""Seconds for which the provider's list is believed."""

_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_MAX_BYTES = 16 * 2**20
_OK = 200


class ProviderCatalogue:
    """Implements `domain.agents.ports.ModelCatalogue` over `GET {base_url}/models` of an OpenAI-compatible provider.

    `is_priced` says whether a price list has a model; `default` is the platform's own. Without a `base_url` these two
    are all there is.
    """

    def __init__(
        self, base_url: str | None, api_key: str | None, default: str, is_priced: Callable[[str], bool]
    ) -> None:
        self._url = base_url and f"{base_url.rstrip('/')}/models"
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._default = default
        self._is_priced = is_priced
        self._offered: frozenset[str] = frozenset()
        self._believed_until = 0.0
        self._asking = asyncio.Lock()

    async def knows(self, model: str) -> bool:
        """Whether the provider has it, or the price list; see the port."""
        if model == self._default or self._is_priced(model):
            return True
        return self._url is not None and model in await self._list(self._url)

    async def _list(self, url: str) -> frozenset[str]:
        async with self._asking:
            if time.monotonic() >= self._believed_until:
                self._offered = await self._asked(url)
                self._believed_until = time.monotonic() + KEPT_S
            return self._offered

    async def _asked(self, url: str) -> frozenset[str]:
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                if response.status != _OK:
                    raise Unavailable(f"the provider does not list its models ({response.status})", retry_after=5)
                return _ids(await _body(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unavailable("the provider cannot be asked for its models", retry_after=5) from fault


async def _body(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    async for piece in response.content.iter_chunked(2**16):
        pieces.append(piece)
        if sum(map(len, pieces)) > _MAX_BYTES:
            raise Unavailable("the provider's list of models is endless")
    return b"".join(pieces)


def _ids(body: bytes) -> frozenset[str]:
    try:
        return frozenset(str(model["id"]) for model in orjson.loads(body)["data"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as fault:
        raise Unavailable("the provider's list of models cannot be read") from fault


class FixedCatalogue:
    """The same over names that do not change."""

    def __init__(self, *models: str) -> None:
        self._models = frozenset(models)

    async def knows(self, model: str) -> bool:
        return model in self._models

"""The models that a provider offers, as its own list and the price list name them."""

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx2
import orjson
from openai import APIConnectionError, APIStatusError

from adapters.openai.client import ProviderClient
from adapters.openai.response_body import body_of
from domain.agents.ports import ModelCatalogue
from domain.errors import Unavailable
from domain.providers.table import ProviderTable, is_pattern

KEPT_S = 60.0
"""Seconds for which the provider's list is believed."""

_TIMEOUT_S = 5.0
_MAX_BYTES = 16 * 2**20


class ProviderCatalogue:
    """Implements `domain.agents.ports.ModelCatalogue` over `GET {base_url}/models` of an OpenAI-compatible provider.

    `is_priced` says whether a price list has a model; `default` is the platform's own. Without a `base_url` these two
    are all there is.
    """

    def __init__(
        self, base_url: str | None, api_key: str | None, default: str, is_priced: Callable[[str], bool]
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._default = default
        self._is_priced = is_priced
        self._offered: frozenset[str] = frozenset()
        self._believed_until = 0.0
        self._fetching = asyncio.Lock()

    async def has_model(self, model: str) -> bool:
        """Return if the provider has it, or the price list; see the port."""
        if model == self._default or await asyncio.to_thread(self._is_priced, model):
            return True
        return self._base_url is not None and model in await self._list(self._base_url)

    async def _list(self, base_url: str) -> frozenset[str]:
        async with self._fetching:
            if time.monotonic() >= self._believed_until:
                self._offered = await self._fetch(base_url)
                self._believed_until = time.monotonic() + KEPT_S
            return self._offered

    async def _fetch(self, base_url: str) -> frozenset[str]:
        try:
            async with (
                asyncio.timeout(_TIMEOUT_S),
                ProviderClient(base_url, self._api_key, _TIMEOUT_S) as client,
                client.get_raw("/models") as response,
            ):
                body = await body_of(response, most=_MAX_BYTES)
        except APIStatusError as refused:
            raise Unavailable(f"the provider does not list its models ({refused.status_code})", retry_after=5) from None
        except (APIConnectionError, httpx2.TransportError, TimeoutError) as fault:
            raise Unavailable("the provider cannot be asked for its models", retry_after=5) from fault
        if len(body) >= _MAX_BYTES:
            raise Unavailable("the provider's list of models is endless")
        return _ids(body)


def _ids(body: bytes) -> frozenset[str]:
    try:
        return frozenset(str(model["id"]) for model in orjson.loads(body)["data"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as fault:
        raise Unavailable("the provider's list of models cannot be read") from fault


class RoutedCatalogue:
    """The same over several providers. A name that a provider claims word for word is believed to be its model's."""

    def __init__(self, table: ProviderTable, catalogues: Mapping[str, ModelCatalogue]) -> None:
        self._table = table
        self._catalogues = catalogues

    async def has_model(self, model: str) -> bool:
        """Return if one provider claims it, and has it or the price list does; see the port."""
        route = self._table.route_or_none(model)
        if route is None:
            return False
        is_listed = route.model in route.provider.models and not is_pattern(route.model)
        return is_listed or await self._catalogues[route.provider.name].has_model(route.model)


class FixedCatalogue:
    """The same over names that do not change."""

    def __init__(self, *models: str) -> None:
        self._models = frozenset(models)

    async def has_model(self, model: str) -> bool:
        return model in self._models

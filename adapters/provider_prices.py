"""Prices of models of several providers: the same model costs different amounts at each."""

from collections.abc import Mapping
from datetime import datetime

from domain.costs.ports import Price
from domain.costs.tariff import Tariff, Tariffs
from domain.providers.table import ProviderTable


class ProviderPrices:
    """Implements `domain.costs.tariff.Tariffs` over the lists of each provider.

    A price of the operator's file for `provider/model` takes precedence over the one for the model at any provider. A
    model that no provider claims has the prices of `default`, the provider of the default model.
    """

    def __init__(self, table: ProviderTable, by_provider: Mapping[str, Tariffs], default: str) -> None:
        self._table = table
        self._by_provider = by_provider
        self._default = by_provider[default]

    def price(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cached_prompt_tokens: int = 0,
        cache_write_tokens: int = 0,
        at: datetime,
    ) -> Price:
        """Return the cost of a call with these tokens at `at`; see the port."""
        listed, name = self._place(model)
        return listed.price(
            name,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cached_prompt_tokens=cached_prompt_tokens,
            cache_write_tokens=cache_write_tokens,
            at=at,
        )

    def tariff(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model in force at `at`; see the port."""
        listed, name = self._place(model)
        return listed.tariff(name, at)

    def own_models(self) -> frozenset[str]:
        """Return the models that the operator's file has."""
        return self._default.own_models()

    def _place(self, model: str) -> tuple[Tariffs, str]:
        route = self._table.route_or_none(model)
        if route is None:
            return self._default, model
        listed = self._by_provider[route.provider.name]
        qualified = f"{route.provider.name}/{route.model}"
        return listed, qualified if qualified in listed.own_models() else route.model

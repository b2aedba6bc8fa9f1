"""One model port over several providers: each call goes to the provider that the model's name means."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from adapters.openai.model import DEFAULT_WINDOW
from domain.chat.model_port import Model, ModelFailure, ModelReply, ModelRequest
from domain.errors import NotFound
from domain.providers.table import ModelRoute, ProviderTable


class ProviderModel(Model, Protocol):
    """The models of one provider."""

    async def aclose(self) -> None:
        """Close its connections."""
        ...


class RoutedModel:
    """Implements `domain.chat.model_port.Model` for names of all providers. `default` is the platform's model."""

    def __init__(self, table: ProviderTable, models: Mapping[str, ProviderModel], default: str) -> None:
        self._table = table
        self._models = models
        self.default = default
        self.takes_tools = any(each.takes_tools for each in models.values())

    def wrapped(self, wrap: Callable[[str, ProviderModel], Model]) -> "RoutedModel":
        """Return the same with the model of each provider wrapped; `wrap` gets the provider's name."""
        inner = {name: _ModelWrapper(wrap(name, model), model) for name, model in self._models.items()}
        return RoutedModel(self._table, inner, self.default)

    async def complete(self, request: ModelRequest, on_delta: Callable[[str], None]) -> ModelReply:
        """Stream the answer of the model's provider; see the port.

        The reply of a model whose own name means another provider's names its provider too.
        """
        route = self._route(request.model)
        reply = await self._models[route.provider.name].complete(replace(request, model=route.model), on_delta)
        if not route.is_qualified:
            return reply
        return replace(reply, model=f"{route.provider.name}/{reply.model or route.model}")

    async def window(self, model: str) -> int:
        """Return the model's window in tokens; see the port. Of a name that means no model it is the usual one."""
        route = self._table.route_or_none(model)
        return await self._models[route.provider.name].window(route.model) if route else DEFAULT_WINDOW

    @property
    def probes(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The probe of each provider, by name."""
        return {name: each.probe for name, each in self._models.items()}

    async def probe(self) -> None:
        """Return when every provider answers; raise the failure of the first that does not."""
        await asyncio.gather(*(each.probe() for each in self._models.values()))

    async def aclose(self) -> None:
        await asyncio.gather(*(each.aclose() for each in self._models.values()))

    def _route(self, model: str) -> ModelRoute:
        try:
            return self._table.route(model)
        except NotFound as refusal:
            raise ModelFailure("not_found", refusal.message, charge="none", permanent=True) from refusal


class _ModelWrapper:
    """A wrapped model that is closed by the one inside."""

    def __init__(self, outer: Model, inner: ProviderModel) -> None:
        self._inner = inner
        self.default, self.takes_tools = outer.default, outer.takes_tools
        self.complete, self.window, self.probe = outer.complete, outer.window, outer.probe

    async def aclose(self) -> None:
        await self._inner.aclose()

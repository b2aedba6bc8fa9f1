"""The model providers that the settings name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from urllib.parse import urlsplit

from adapters.files.providers import ProviderEntry, ProvidersFile
from adapters.genai_prices import GenaiPrices
from adapters.local_model import MODEL_NAME
from adapters.no_model import NoModel
from adapters.openai.model import OpenAIModel
from adapters.openai.model_catalogue import ProviderCatalogue, RoutedCatalogue
from adapters.provider_prices import ProviderPrices
from adapters.routed_model import RoutedModel
from domain.agents.ports import ModelCatalogue
from domain.costs.ports import Prices
from domain.costs.tariff import Tariffs
from domain.providers.table import ANY_MODEL, ModelProvider, ProviderLimits, ProviderTable
from runtime.settings import Settings

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_MODEL = "gpt-4.1-mini"
"""The model at OpenAI when CONVERGIO_MODEL is not set."""

_ANSWER_TOKENS = 8192
"""Models that reason first write thousands of tokens before their answer, all of which count."""
_LOCAL_ANSWER_TOKENS = 256
"""The local model writes some tens of tokens a second, and nothing better the longer it goes on."""
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True, slots=True)
class Provider:
    """`name` is part of its task queue's name; `url` is None when there is no provider.

    `takes_tools` is whether agents' tools are offered to its models. An answer has `max_answer_tokens` at most, and
    never more than one part in `answer_share` of the window. `models` and `aliases` are those that it claims.
    """

    name: str
    url: str | None
    default_model: str
    max_answer_tokens: int
    takes_tools: bool
    answer_share: int = 8
    key: str | None = field(default=None, repr=False)
    context_window: int | None = None
    models: tuple[str, ...] = (ANY_MODEL,)
    aliases: Mapping[str, str] = field(default_factory=dict)
    limits: ProviderLimits = field(default_factory=ProviderLimits)

    @property
    def entry(self) -> ModelProvider:
        """The provider as the table of providers has it."""
        return ModelProvider(
            self.name,
            self.models,
            self.aliases,
            self.takes_tools,
            self.max_answer_tokens,
            self.answer_share,
            self.limits,
        )


def provider(settings: Settings) -> Provider:
    """The provider of the default model.

    Without a file of providers it is the one at OPENAI_BASE_URL, or OpenAI when there is only a key, or none.
    """
    if settings.providers_file is not None:
        table, found = provider_table(settings), providers(settings)
        route = table.route(settings.model or settings.providers_file.default_model or "")
        return next(each for each in found if each.name == route.provider.name)
    return _only_provider(settings)


def _only_provider(settings: Settings) -> Provider:
    url = settings.openai_base_url or (OPENAI_URL if settings.openai_api_key else None)
    if url is None:
        return Provider("none", None, settings.model or "none", _ANSWER_TOKENS, takes_tools=False)
    host = urlsplit(url).hostname or "unnamed"
    name = "local" if host in _LOOPBACK else "openai" if url == OPENAI_URL else host
    model = settings.model or (MODEL_NAME if name == "local" else OPENAI_MODEL)
    longest = _LOCAL_ANSWER_TOKENS if model == MODEL_NAME else _ANSWER_TOKENS
    takes_tools = model != MODEL_NAME if settings.model_tools == "auto" else settings.model_tools == "on"
    share = 8 if settings.max_answer_tokens is None else 4
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
    return Provider(
        name,
        url,
        model,
        settings.max_answer_tokens or longest,
        takes_tools,
        share,
        key=key,
        context_window=settings.context_window,
    )


def providers(settings: Settings) -> tuple[Provider, ...]:
    """All providers: those of the file, or the only one."""
    file = settings.providers_file
    if file is None:
        return (_only_provider(settings),)
    return tuple(_listed_provider(settings, file, entry) for entry in file.providers)


def _listed_provider(settings: Settings, file: ProvidersFile, entry: ProviderEntry) -> Provider:
    longest = entry.max_answer_tokens or settings.max_answer_tokens
    key = settings.provider_keys.get(entry.key_variable or "")
    bounds = [bound for bound in (entry.context_window, settings.context_window) if bound]
    return Provider(
        entry.name,
        entry.base_url,
        settings.model or file.default_model or "",
        longest or _ANSWER_TOKENS,
        takes_tools=entry.tools == "on" and settings.model_tools != "off",
        answer_share=8 if longest is None else 4,
        key=key.get_secret_value() if key else None,
        context_window=min(bounds, default=None),
        models=entry.models,
        aliases=entry.aliases,
        limits=entry.limits,
    )


def provider_table(settings: Settings) -> ProviderTable:
    """The providers by the names of their models. The only one has every model."""
    return ProviderTable((each.entry for each in providers(settings)), has_every_model=settings.providers_file is None)


def make_model(settings: Settings) -> OpenAIModel | RoutedModel | NoModel:
    """Return the models of all providers."""
    found = providers(settings)
    if settings.providers_file is None:
        return NoModel() if found[0].url is None else _openai_model(settings, found[0])
    table = provider_table(settings)
    models = {each.name: _openai_model(settings, each) for each in found}
    return RoutedModel(table, models, table.ledger_name(found[0].default_model))


def _openai_model(settings: Settings, named: Provider) -> OpenAIModel:
    return OpenAIModel(
        named.url or "",
        named.key,
        named.default_model,
        settings.model_timeout_s,
        named.context_window,
        takes_tools=named.takes_tools,
    )


def make_catalogue(settings: Settings, prices: Prices, now: Callable[[], datetime]) -> ModelCatalogue:
    """Return the models that agents may name."""

    def is_priced(named: Provider, model: str) -> bool:
        name = model if settings.providers_file is None else f"{named.name}/{model}"
        return prices.price(name, prompt_tokens=0, completion_tokens=0, at=now()).known

    made = {
        each.name: ProviderCatalogue(each.url, each.key, each.default_model, partial(is_priced, each))
        for each in providers(settings)
    }
    return (
        next(iter(made.values()))
        if settings.providers_file is None
        else RoutedCatalogue(provider_table(settings), made)
    )


def make_prices(settings: Settings, local_model: str) -> Tariffs:
    """Return the prices of the operator's file and the list, for each provider its own."""
    found = providers(settings)
    listed = {each.name: GenaiPrices(settings.prices, each.url, local_model=local_model) for each in found}
    if settings.providers_file is None:
        return listed[found[0].name]
    return ProviderPrices(provider_table(settings), listed, provider(settings).name)

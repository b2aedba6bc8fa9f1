"""Dated model prices: the operator's own file first, then the list in the genai-prices package."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import genai_prices.data
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, TieredPrices
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.local_model import MODEL_NAME
from domain.costs.ports import Price
from domain.errors import Invalid

MILLION = Decimal(1_000_000)
THOUSAND = Decimal(1_000)
ZERO = Decimal(0)
UNKNOWN = Price(ZERO, "none", known=False)
LOCAL = Price(ZERO, "local")
Rate = Decimal | TieredPrices | None


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one call; cached tokens are part of the prompt's."""

    prompt: int
    cached: int
    completion: int


class OwnPrice(BaseModel):
    """US dollars per million tokens, from a moment on; a date means its midnight in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    input_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    output_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    cached_input_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    since: Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))] = Field(
        datetime.min.replace(tzinfo=UTC), alias="from"
    )

    def cost(self, tokens: Tokens) -> Decimal:
        cached = self.input_per_million if self.cached_input_per_million is None else self.cached_input_per_million
        fresh = tokens.prompt - tokens.cached
        total = self.input_per_million * fresh + cached * tokens.cached + self.output_per_million * tokens.completion
        return total / MILLION


OwnPrices = TypeAdapter(dict[str, OwnPrice | Annotated[tuple[OwnPrice, ...], Field(min_length=1)]])


class GenaiPrices:
    """Implements `domain.costs.ports.Prices`.

    `overrides` is a JSON file, `{model: {input_per_million, output_per_million, cached_input_per_million?, from?}}`
    or a list of such prices for a model; the latest one that has begun counts. `api_url` is the provider's base URL:
    the same model has different prices at different providers. `local_model` costs nothing.
    Raises `Invalid` where the file cannot be read.
    """

    def __init__(
        self, overrides: Path | None = None, api_url: str | None = None, *, local_model: str = MODEL_NAME
    ) -> None:
        self._own, self._own_version = read_price_file(overrides) if overrides else ({}, "")
        self._list_version = list_version()
        self._api_url = api_url
        self._local_model = local_model

    def price(
        self, model: str, *, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0, at: datetime
    ) -> Price:
        """Return the cost of a call with these tokens at `at`; see the port."""
        tokens = Tokens(prompt_tokens, min(cached_prompt_tokens, prompt_tokens), completion_tokens)
        for own in self._own.get(model, ()):
            if own.since <= at:
                return Price(own.cost(tokens), self._own_version)
        if model == self._local_model:
            return LOCAL
        info = find_listed_model(model, self._api_url)
        rates = info.get_prices(at).__dict__ if info else None
        return Price(list_cost(rates, tokens), self._list_version) if rates else UNKNOWN


def read_price_file(path: Path) -> tuple[Mapping[str, tuple[OwnPrice, ...]], str]:
    """Return the prices of a file, newest first for each model, and the file's version."""
    try:
        raw = path.read_bytes()
        read = OwnPrices.validate_json(raw)
    except (OSError, ValidationError) as fault:
        raise Invalid(f"the price file {path} cannot be used: {fault}", field="overrides") from fault
    dated = {name: (price,) if isinstance(price, OwnPrice) else price for name, price in read.items()}
    newest_first = {name: tuple(sorted(all_, key=lambda own: own.since, reverse=True)) for name, all_ in dated.items()}
    return newest_first, f"file:{hashlib.sha256(raw).hexdigest()[:12]}"


@lru_cache(maxsize=1)
def list_version() -> str:
    """Return the version of the package and the hash of its list, which is what prices a call."""
    data = Path(genai_prices.data.__file__).read_bytes()
    return f"genai-prices {version('genai-prices')} {hashlib.sha256(data).hexdigest()[:12]}"


@lru_cache(maxsize=1024)
def find_listed_model(model: str, api_url: str | None = None) -> ModelInfo | None:
    """Return the list's entry for a model: at the provider of the URL, else at the model's maker."""
    for url in (api_url, None) if api_url else (None,):
        try:
            return get_snapshot().find_provider_model(model, None, None, url)[1]
        except LookupError:
            continue
    return None


def known_context_window(model: str) -> int | None:
    info = find_listed_model(model)
    return info.context_window if info else None


def list_cost(rates: Mapping[str, Rate], tokens: Tokens) -> Decimal:
    """Return the cost of chat tokens, 20 times faster than the package's own calculation for all kinds of units."""
    fresh_rate = rates.get("input_mtok")
    cached_rate = rates.get("cache_read_mtok")
    cost = (
        rate(fresh_rate, tokens) * (tokens.prompt - tokens.cached)
        + rate(cached_rate if cached_rate is not None else fresh_rate, tokens) * tokens.cached
        + rate(rates.get("output_mtok"), tokens) * tokens.completion
    ) / MILLION
    each = rates.get("requests_kcount")
    return cost if each is None else cost + rate(each, tokens) / THOUSAND


def rate(price: Rate, tokens: Tokens) -> Decimal:
    """Return the rate of a call: a tier applies to all tokens of a call whose prompt is longer than its start."""
    if isinstance(price, TieredPrices):
        begun = [tier.price for tier in price.tiers if tokens.prompt > tier.start]
        return begun[-1] if begun else price.base
    return ZERO if price is None else price

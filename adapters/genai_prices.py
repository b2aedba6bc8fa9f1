"""Dated model prices: the operator's own file first, then the list in the genai-prices package."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import genai_prices.data
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, StartDateConstraint, TieredPrices
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from adapters.embeddings.minilm import MODEL as EMBEDDING_MODEL
from adapters.local_model import MODEL_NAME
from domain.costs.ports import UNKNOWN, Price
from domain.costs.tariff import ALL_PROMPTS, ZERO, Rates, Tariff, Tokens
from domain.errors import Invalid

THOUSAND = Decimal(1_000)
FREE = (Rates(ZERO, ZERO, ZERO),)
BEGINNING = datetime.min.replace(tzinfo=UTC)
OTHER_RATES = (
    "output_reasoning_mtok",
    "input_audio_mtok",
    "cache_audio_read_mtok",
    "output_audio_mtok",
    "input_image_mtok",
    "output_image_mtok",
    "input_video_mtok",
    "output_video_mtok",
)
"""Rates that the list names for some models, and that no call is charged by."""
Rate = Decimal | TieredPrices | None


class OwnPrice(BaseModel):
    """US dollars per million tokens, from a moment on; a date means its midnight in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    input_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    output_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
    cached_input_per_million: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    since: Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))] = Field(
        BEGINNING, alias="from"
    )

    @property
    def rates(self) -> Rates:
        """The rates; cached tokens cost as much as others where the file does not tell."""
        cached = self.input_per_million if self.cached_input_per_million is None else self.cached_input_per_million
        return Rates(self.input_per_million, cached, self.output_per_million)


OwnPrices = TypeAdapter(dict[str, OwnPrice | Annotated[tuple[OwnPrice, ...], Field(min_length=1)]])


class GenaiPrices:
    """Implements `domain.costs.tariff.Tariffs`.

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
        cached, written = cached_prompt_tokens, cache_write_tokens
        tokens = Tokens.of_call(prompt_tokens, completion_tokens, cached=cached, written=written)
        if tariff := self._own_tariff(model, at):
            return tariff.price(tokens)
        info = find_listed_model(model, self._api_url)
        return Price(list_cost(info.get_prices(at).__dict__, tokens), self._list_version) if info else UNKNOWN

    def tariff(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model in force at `at`; see the port."""
        if own := self._own_tariff(model, at):
            return own
        info = find_listed_model(model, self._api_url)
        if info is None:
            return None
        rates = info.get_prices(at).__dict__
        return Tariff(
            model,
            self._list_version,
            "list",
            rates_of(rates),
            per_request(rates),
            listed_since(info, at),
            {name: base for name in OTHER_RATES if (base := base_rate(rates.get(name))) is not None},
        )

    def own_models(self) -> frozenset[str]:
        """Return the models that the operator's file has."""
        return frozenset(self._own)

    def _own_tariff(self, model: str, at: datetime) -> Tariff | None:
        for own in self._own.get(model, ()):
            if own.since <= at:
                since = None if own.since == BEGINNING else own.since
                return Tariff(model, self._own_version, "file", (own.rates,), valid_from=since)
        return Tariff(model, "local", "local", FREE) if model in (self._local_model, EMBEDDING_MODEL) else None


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
    return Tariff("", "", "list", rates_of(rates), per_request(rates)).cost(tokens)


def rates_of(rates: Mapping[str, Rate]) -> tuple[Rates, ...]:
    """Return the rates of the list, from the lowest tier: each applies to all tokens of a call with a longer prompt."""
    fresh, cached, output = rates.get("input_mtok"), rates.get("cache_read_mtok"), rates.get("output_mtok")
    cached = fresh if cached is None else cached
    written = rates.get("cache_write_mtok")
    tiered = [each for each in (fresh, cached, output, written) if isinstance(each, TieredPrices)]
    starts = (ALL_PROMPTS, *sorted({tier.start for each in tiered for tier in each.tiers}))
    return tuple(
        Rates(
            rate_above(fresh, start),
            rate_above(cached, start),
            rate_above(output, start),
            start,
            None if written is None else rate_above(written, start),
        )
        for start in starts
    )


def rate_above(price: Rate, start: int) -> Decimal:
    """Return the rate of calls whose prompt has more than `start` tokens, and no more than the next tier's."""
    if isinstance(price, TieredPrices):
        begun = [tier.price for tier in price.tiers if tier.start <= start]
        return begun[-1] if begun else price.base
    return ZERO if price is None else price


def base_rate(price: Rate) -> Decimal | None:
    """Return a rate; of a tiered one that of the shortest prompts."""
    return price.base if isinstance(price, TieredPrices) else price


def per_request(rates: Mapping[str, Rate]) -> Decimal:
    """Return the price of each request, in US dollars."""
    return (base_rate(rates.get("requests_kcount")) or ZERO) / THOUSAND


def listed_since(info: ModelInfo, at: datetime) -> datetime | None:
    """Return the day since which the listed price has been in force, where the list tells it."""
    for dated in reversed(info.prices if isinstance(info.prices, list) else ()):
        if dated.constraint is None:
            return None
        if dated.constraint.active(at):
            start = dated.constraint.start_date if isinstance(dated.constraint, StartDateConstraint) else None
            return datetime.combine(start, time.min, UTC) if start else None
    return None

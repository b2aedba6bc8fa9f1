"""Request and response models of prices."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.http.schemas import Body, Listing, Money, Timestamp, View
from domain.costs.price_book import ModelPrice
from domain.costs.tariff import PriceSource, Tariff

MOST_AT_ONCE = 100
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Rate = Annotated[
    Decimal,
    Field(ge=0, le=1_000_000, max_digits=13, decimal_places=6, description="US dollars per million tokens."),
]


class PriceChange(Body):
    """The price of a model in US dollars per million tokens; a number, or a string with the exact decimal.

    Tokens that the provider read from its cache cost `cached_input_per_million`, or as much as others without it.
    """

    model: ModelName
    input_per_million: _Rate
    output_per_million: _Rate
    cached_input_per_million: _Rate | None = None

    def to_price(self) -> ModelPrice:
        return ModelPrice(**self.model_dump())


class PriceChanges(Body):
    """The prices to set, and the models whose price is withdrawn: the file's or the list's is in force again.

    What is not named stays as it is. Each model is named once.
    """

    prices: list[PriceChange] = Field(default=[], max_length=MOST_AT_ONCE)
    withdraw: list[ModelName] = Field(default=[], max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _names_each_model_once(self) -> Self:
        named = self.models()
        if not named:
            raise ValueError("no model is named")
        if len(named) > len(set(named)):
            raise ValueError("a model is named twice")
        return self

    def models(self) -> list[str]:
        """Return the models of both."""
        return [*(price.model for price in self.prices), *self.withdraw]


class PriceTier(View):
    """Rates of calls whose prompt has more than `above_prompt_tokens` tokens; they apply to all tokens of the call."""

    above_prompt_tokens: int
    input_per_million: Money
    cached_input_per_million: Money
    cache_write_per_million: Money
    output_per_million: Money


class CurrentPrice(View):
    """The price in force for a model, in US dollars per million tokens. Rates are null where no price is known.

    `source` is `operator` (set here), `file` (`CONVERGIO_PRICES`), `local` (the platform's own model, free), `list`
    (the package genai-prices), in this order of precedence, or `none`: calls of such a model are booked at 0 with
    `price_known` false. `version` is the `price_version` of calls in the cost ledger. `valid_from` is null where the
    source does not tell it. A price that was just set is shown although it begins three seconds later.

    Charged are prompt tokens, those of them that the provider read from its cache or wrote to it, completion tokens
    (reasoning included), and each request where the list says so. `other_rates` are further rates of the list, such
    as `input_audio_per_million`; no call is charged by them.
    """

    model: str
    source: PriceSource | Literal["none"]
    version: str
    valid_from: Timestamp | None
    input_per_million: Money | None
    cached_input_per_million: Money | None
    cache_write_per_million: Money | None
    output_per_million: Money | None
    per_request: Money | None
    tiers: list[PriceTier]
    other_rates: dict[str, Money]


class PriceList(Listing):
    """Prices in force, by model. `version` counts the changes of operators."""

    version: int
    data: list[CurrentPrice]


def to_current_price(model: str, tariff: Tariff | None) -> CurrentPrice:
    """Return the price of a model as it is shown."""
    if tariff is None:
        return _without_price(model)
    base, *tiers = tariff.rates
    return CurrentPrice(
        model=model,
        source=tariff.source,
        version=tariff.version,
        valid_from=tariff.valid_from,
        input_per_million=base.input,
        cached_input_per_million=base.cached_input,
        cache_write_per_million=base.written,
        output_per_million=base.output,
        per_request=tariff.per_request,
        tiers=[
            PriceTier(
                above_prompt_tokens=tier.above,
                input_per_million=tier.input,
                cached_input_per_million=tier.cached_input,
                cache_write_per_million=tier.written,
                output_per_million=tier.output,
            )
            for tier in tiers
        ],
        other_rates=_by_name(tariff.other_rates),
    )


def _by_name(rates: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the rates by readable names: `input_audio_mtok` is `input_audio_per_million`."""
    return {name.removesuffix("_mtok") + "_per_million": rate for name, rate in rates.items()}


def _without_price(model: str) -> CurrentPrice:
    return CurrentPrice(
        model=model,
        source="none",
        version="none",
        valid_from=None,
        input_per_million=None,
        cached_input_per_million=None,
        cache_write_per_million=None,
        output_per_million=None,
        per_request=None,
        tiers=[],
        other_rates={},
    )

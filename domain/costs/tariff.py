"""The price of a model as rates, and the cost of a call at them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, Protocol

from domain.costs.ports import Price, Prices

ZERO = Decimal(0)
MILLIONTH = Decimal("0.000001")
ALL_PROMPTS = -1
PriceSource = Literal["operator", "file", "local", "list"]
"""In the order of precedence: set over the API, the file of `CONVERGIO_PRICES`, the platform's own model (free), the
list of the package genai-prices."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of one call. Those read from the provider's cache and those written to it are parts of the prompt."""

    prompt: int
    cached: int
    completion: int
    written: int = 0

    @classmethod
    def of_call(cls, prompt: int, completion: int, *, cached: int, written: int) -> "Tokens":
        """Return the tokens of a call; the parts of the prompt are not more than the whole."""
        cached = min(cached, prompt)
        return cls(prompt, cached, completion, min(written, prompt - cached))


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens of all calls whose prompt has more than `above` tokens."""

    input: Decimal
    cached_input: Decimal
    output: Decimal
    above: int = ALL_PROMPTS
    cache_write: Decimal | None = None

    @property
    def written(self) -> Decimal:
        """The rate of tokens that are written to the provider's cache; that of the prompt if it has none of its own."""
        return self.input if self.cache_write is None else self.cache_write


@dataclass(frozen=True, slots=True)
class Tariff:
    """The price of a model: `rates` in the order of `above`, the first for all prompts.

    `per_request` is in US dollars. `other_rates` are those that the list names and no call of the platform is charged
    by, per million tokens. `valid_from` is None where the list does not tell it.
    """

    model: str
    version: str
    source: PriceSource
    rates: tuple[Rates, ...]
    per_request: Decimal = ZERO
    valid_from: datetime | None = None
    other_rates: Mapping[str, Decimal] = field(default_factory=dict)

    def cost(self, tokens: Tokens) -> Decimal:
        """Return the exact cost of a call in US dollars. Its longest prompt's rates are those of all its tokens."""
        applied = self.rates[0]
        for rates in self.rates[1:]:
            if tokens.prompt > rates.above:
                applied = rates
        millions = (
            applied.input * (tokens.prompt - tokens.cached - tokens.written)
            + applied.cached_input * tokens.cached
            + applied.written * tokens.written
            + applied.output * tokens.completion
        )
        return millions * MILLIONTH + self.per_request

    def price(self, tokens: Tokens) -> Price:
        """Return the cost of a call with the version of this price."""
        return Price(self.cost(tokens), self.version)


class Tariffs(Prices, Protocol):
    """Prices that can be shown."""

    def tariff(self, model: str, at: datetime) -> Tariff | None:
        """Return the price of a model in force at a moment; None if it is not known."""
        ...

    def own_models(self) -> frozenset[str]:
        """Return the models that this deployment has prices of its own for."""
        ...

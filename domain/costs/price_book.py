"""The prices that operators have set, one stream for the whole deployment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from domain.costs.events import PriceSet, PriceWithdrawn
from domain.costs.tariff import Rates, Tariff
from domain.errors import Invalid
from domain.events import Cause, Event

STREAM = "prices:operator"
NOTICE = timedelta(seconds=3)
"""A price begins this long after it is set: by then every process has read it, so all price a moment alike."""
MOST_MODELS = 1_000
"""Models with a price of an operator, at most: every process keeps them all."""
PriceEvent = PriceSet | PriceWithdrawn


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """US dollars per million tokens, as an operator sets them for a model."""

    model: str
    input_per_million: Decimal
    output_per_million: Decimal
    cached_input_per_million: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PriceBook:
    """All versions of all prices. `version` is that of the stream; each price is named by that of its event."""

    version: int = 0
    entries: Mapping[str, tuple[tuple[int, PriceEvent], ...]] = field(default_factory=dict)

    def models(self) -> frozenset[str]:
        """Return the models whose newest entry is a price."""
        return frozenset(model for model in self.entries if self.newest(model) is not None)

    def newest(self, model: str) -> Tariff | None:
        """Return the price that was set last, even if it has not begun; None if there is none or it was withdrawn."""
        found = self.entries.get(model)
        return _to_tariff(*found[-1]) if found else None

    def in_force(self, model: str, at: datetime) -> Tariff | None:
        """Return the price in force at a moment; None if there was none or it was withdrawn."""
        for version, event in reversed(self.entries.get(model, ())):
            if event.valid_from <= at:
                return _to_tariff(version, event)
        return None


def fold(book: PriceBook, events: Iterable[Event]) -> PriceBook:
    """Return the book with the next events of its stream."""
    entries, version = dict(book.entries), book.version
    for event in events:
        version += 1
        if isinstance(event, PriceEvent):
            entries[event.model] = (*entries.get(event.model, ()), (version, event))
    return PriceBook(version, entries)


def set_prices(
    book: PriceBook, prices: Iterable[ModelPrice], withdrawn: Iterable[str], cause: Cause
) -> list[PriceEvent]:
    """Set prices and withdraw others, as of `NOTICE` from now; nothing for those that stand already.

    Raises:
        Invalid: the deployment would have more than `MOST_MODELS` prices.
    """
    common = {"valid_from": cause.at + NOTICE, **cause.fields()}
    events: list[PriceEvent] = [_to_event(price, common) for price in prices if not _is_in_force(book, price)]
    events += [PriceWithdrawn(model=model, **common) for model in withdrawn if book.newest(model) is not None]
    if len(fold(book, events).models()) > max(MOST_MODELS, len(book.models())):
        reason = f"at most {MOST_MODELS} models can have prices of their own"
        raise Invalid(f"prices: {reason}", field="prices", reason=reason)
    return events


def _to_event(price: ModelPrice, common: dict[str, object]) -> PriceSet:
    values = {name: getattr(price, name) for name in ModelPrice.__dataclass_fields__}
    return PriceSet.model_validate({**values, **common})


def _is_in_force(book: PriceBook, price: ModelPrice) -> bool:
    newest = book.newest(price.model)
    return newest is not None and newest.rates == (_to_rates(price),)


def _to_rates(price: ModelPrice | PriceSet) -> Rates:
    cached = price.input_per_million if price.cached_input_per_million is None else price.cached_input_per_million
    return Rates(price.input_per_million, cached, price.output_per_million)


def _to_tariff(version: int, event: PriceEvent) -> Tariff | None:
    if isinstance(event, PriceWithdrawn):
        return None
    return Tariff(event.model, f"operator:{version}", "operator", (_to_rates(event),), valid_from=event.valid_from)

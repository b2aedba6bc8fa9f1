"""What the books need of the outside: prices."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Priced:
    """US dollars, exact, and the price list they were computed by. `known` is False when no list has the model."""

    cost: Decimal
    price_version: str
    known: bool = True


class Prices(Protocol):
    """Model prices with dates."""

    def price(
        self, model: str, *, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0, at: datetime
    ) -> Priced:
        """The cost of a call with these tokens made at `at`. A model no list has is priced 0 with `known=False`."""
        ...

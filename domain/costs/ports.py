"""What the books need of the outside: prices, and their views."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from domain.costs.projection import CallRow


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


GroupBy = Literal["agent", "model", "day", "session", "workflow", "key"]


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """What was used under one heading. Costs in US dollars; `open_cost` is the worst case of reserved and unknown."""

    name: str
    cost: Decimal
    tokens: int
    requests: int
    reserved: int
    failed: int
    unknown: int
    open_cost: Decimal


@dataclass(frozen=True, slots=True)
class CallFilter:
    """None lets all through."""

    state: str | None = None
    kind: str | None = None
    model: str | None = None
    agent_id: str | None = None
    session_id: str | None = None
    workflow_id: str | None = None
    key_id: str | None = None
    call_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class CallPage:
    """Some of the calls, newest first; `total` counts those that pass the filter."""

    calls: list[CallRow]
    total: int


@dataclass(frozen=True, slots=True)
class ModelRefusal:
    """What a model did not take of a request, by its name, and when it last said so."""

    refused: str
    at: datetime


class CostReads(Protocol):
    """The books, as far as the projection has come."""

    def usage(self, first: date, last: date, group_by: GroupBy) -> list[UsageGroup]:
        """Usage of these days (UTC, both included), by name."""
        ...

    def calls(self, wanted: CallFilter, *, skip: int, limit: int) -> CallPage: ...

    def refusals(self, model: str, since: datetime) -> list[ModelRefusal]:
        """What this model has refused since then, by name."""
        ...

    def overdue_calls(self, before: datetime, limit: int) -> list[CallRow]:
        """Reservations whose deadline was before this moment."""
        ...

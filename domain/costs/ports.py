"""Ports of the cost ledger: prices, and views."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from domain.costs.projection import CallRow


@dataclass(frozen=True, slots=True)
class Price:
    """An exact amount of US dollars, and its price list. `known` is False when no list has the model."""

    cost: Decimal
    price_version: str
    known: bool = True


UNKNOWN = Price(Decimal(0), "none", known=False)
"""The price of a model that no list has."""


class Prices(Protocol):
    """Model prices with dates."""

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
        """Return the cost of a call with these tokens made at `at`. An unlisted model costs 0 with `known=False`."""
        ...


def worst_price(prices: Prices, model: str, *, prompt_tokens: int, completion_tokens: int, at: datetime) -> Price:
    """Return the highest cost of a call with these tokens: a provider may write the whole prompt to its cache."""
    plain, written = (
        prices.price(
            model,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cache_write_tokens=each,
            at=at,
        )
        for each in (0, prompt_tokens)
    )
    return max(plain, written, key=lambda price: price.cost)


GroupBy = Literal["agent", "model", "day", "session", "workflow", "key"]


@dataclass(frozen=True, slots=True)
class UsageGroup:
    """The usage of one group. Costs in US dollars; `open_cost` is the worst case of reserved and unknown calls."""

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
    """The calls of one tenant; None lets all of them through."""

    tenant_id: str
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
    """A page of calls, newest first; `total` counts all that match the filter."""

    calls: list[CallRow]
    total: int


@dataclass(frozen=True, slots=True)
class RefusedPart:
    """A part of a request that a model refused, by its name, and the time of the latest refusal."""

    refused: str
    at: datetime


class CostReads(Protocol):
    """The cost ledger, up to the projection's position."""

    def usage(self, tenant_id: str, first: date, last: date, group_by: GroupBy) -> list[UsageGroup]:
        """Usage of a tenant on these days (UTC, both included), by name."""
        ...

    def calls(self, wanted: CallFilter, *, skip: int, limit: int) -> CallPage: ...

    def refusals(self, model: str, since: datetime) -> list[RefusedPart]:
        """What this model has refused since then, by name, whoever asked it: it is the same for all tenants."""
        ...

    def overdue_calls(self, before: datetime, limit: int) -> list[CallRow]:
        """Reservations of all tenants whose deadline was before this moment."""
        ...


class CallExport(Protocol):
    """The attempts of a period, in batches."""

    def batches(self, tenant_id: str, first: date, last: date) -> Iterator[list[CallRow]]:
        """Yield a tenant's attempts that were reserved on these days (UTC, both included), oldest first."""
        ...

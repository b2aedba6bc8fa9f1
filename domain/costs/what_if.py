"""The history of calls at the price of another model. Nothing of it is recorded."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from domain.costs.ports import GroupBy, UsageGroup
from domain.costs.tariff import Tariff


@dataclass(frozen=True, slots=True)
class RepricedGroup:
    """The usage of one group, and its cost at another price in US dollars.

    Calls with known tokens (settled or cut) are repriced, open and failed ones are not. `kept` of the former are no
    chats and keep their cost; `unpriced` had no known price and cost 0 in the usage.
    """

    usage: UsageGroup
    repriced: Decimal
    kept: int
    unpriced: int


@dataclass(frozen=True, slots=True)
class RepricedUsage:
    """The same calls in total, and in groups by name."""

    total: RepricedGroup
    by_agent: list[RepricedGroup]
    by_model: list[RepricedGroup]
    daily: list[RepricedGroup]
    groups: list[RepricedGroup] | None


class WhatIfReads(Protocol):
    """The cost ledger at other prices, up to the projection's position."""

    def reprice(
        self, tenant_id: str, first: date, last: date, tariff: Tariff, group_by: GroupBy | None
    ) -> RepricedUsage:
        """Usage of a tenant on these days (UTC, both included) at a price."""
        ...

    def used_models(self, tenant_id: str) -> frozenset[str]:
        """Return the models that a tenant has called."""
        ...

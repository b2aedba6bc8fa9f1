"""Ports of limits: reads of what counts against them."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from domain.costs.limits.events import OnBreach, Window
from domain.costs.limits.projection import ZERO, Charge


@dataclass(frozen=True, slots=True)
class LimitView:
    """A limit in its current window: the cost of its whole scope, and what of it is covered by allowances.

    `granted` is the sum of allowances beyond the limit, `allowed` what of these is used.
    """

    scope: str
    window: Window
    tenant_id: str
    limit_usd: Decimal
    on_breach: OnBreach
    version: int
    set_by: str
    set_at: datetime
    starts: date
    charge: Charge
    granted: Decimal = ZERO
    allowed: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        """What further calls may cost; 0 if the limit was set below what was spent already."""
        return max(self.limit_usd - (self.charge.total - self.allowed), ZERO)


@dataclass(frozen=True, slots=True)
class LimitPage:
    """A page of limits; `total` counts all."""

    limits: list[LimitView]
    total: int


class LimitReads(Protocol):
    """Limits, and what counts against them in the windows of a day."""

    def page(self, tenant_id: str, day: date, *, is_operator: bool, skip: int, limit: int) -> LimitPage:
        """Return the limits of a tenant by scope and window.

        An operator also gets those of all tenants together, and those of each tenant as a whole.
        """
        ...

    def by_name(self, limits: list[tuple[str, Window]], day: date) -> list[LimitView]:
        """Return these limits, by scope and window; those that are not set are absent."""
        ...

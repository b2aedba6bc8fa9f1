"""Route of what calls would have cost at another model's price."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from api.costs.parameters import FirstDay, LastDay, PeriodQuery
from api.costs.price_schemas import CurrentPrice, to_current_price
from api.http.dependencies import CurrentTenant, fresh, requires
from api.http.schemas import Money, Timestamp, View
from api.tables.figures import CSV_TOO, FormatQuery, to_table
from domain.costs import policy
from domain.costs.ports import GroupBy
from domain.costs.tariff import Tariff, Tariffs
from domain.costs.what_if import RepricedGroup, WhatIfReads
from domain.errors import Invalid

_Model = Annotated[
    str, Query(min_length=1, max_length=200, pattern=r"^[^\x00]*$", description="The model whose price is applied.")
]
_At = Annotated[AwareDatetime | None, Query(description="Applies the price in force at this moment; now by default.")]


class RepricedFigures(View):
    """Cost as booked (`actual_cost`, that of the usage), at the other price, and the difference between the two.

    `requests` are calls with known tokens (settled or cut), which are repriced; `kept` of them are no chats and keep
    their cost, `unpriced` had no known price and were booked at 0. Not repriced are `reserved` and `unknown` calls,
    whose tokens nobody knows: `open_cost` is their worst case at the price of their reservation, in neither cost.
    """

    actual_cost: Money
    repriced_cost: Money
    difference: Money
    tokens: int
    requests: int
    kept: int
    unpriced: int
    reserved: int
    unknown: int
    open_cost: Money


class RepricedPeriod(RepricedFigures):
    """The same in total."""

    period_start: Timestamp
    period_end: Timestamp


class RepricedAgent(RepricedFigures):
    """The same of one agent."""

    agent_id: str


class RepricedModel(RepricedFigures):
    """The same of the calls of one model."""

    model: str


class RepricedDay(RepricedFigures):
    """The same of one day (UTC)."""

    date: date


class RepricedName(RepricedFigures):
    """The same of one value of `group_by`."""

    name: str


class WhatIf(View):
    """The calls of a period at the price of another model. `groups` is present if `group_by` was given."""

    price: CurrentPrice
    current_period: RepricedPeriod
    by_agent: list[RepricedAgent]
    by_model: list[RepricedModel]
    daily: list[RepricedDay]
    groups: list[RepricedName] | None = None


@dataclass(frozen=True, slots=True)
class WhatIfServices:
    """Dependencies of the route."""

    prices: Tariffs
    calls: WhatIfReads
    now: Callable[[], datetime]

    def tariff(self, model: str, at: datetime | None) -> Tariff:
        """Return the price of a model in force then.

        Raises:
            Invalid: no price of it is known.
        """
        tariff = self.prices.tariff(model, at or self.now())
        if tariff is None:
            reason = f"no price of {model} is known"
            raise Invalid(f"model: {reason}", field="model", reason=reason)
        return tariff


def router(service: WhatIfServices) -> APIRouter:
    """Build the route `/api/v1/cost-management/what-if`."""
    routes = APIRouter(
        prefix="/api/v1/cost-management", tags=["Cost Management"], dependencies=[requires("read"), fresh("costs")]
    )

    @routes.get("/what-if", response_model=WhatIf, responses=CSV_TOO)
    def what_if(
        tenant_id: CurrentTenant,
        model: _Model,
        *,
        period: PeriodQuery = None,
        first: FirstDay = None,
        last: LastDay = None,
        at: _At = None,
        group_by: GroupBy | None = None,
        as_format: FormatQuery = "json",
    ) -> WhatIf | Response:
        """Returns what the calls of the caller's tenant would have cost at another model's price; nothing is changed.

        Each call keeps its tokens: another model may count the same text as more or fewer tokens, or answer at another
        length. As CSV it is the table of `group_by`, or of agents if that was not given.
        """
        days = policy.period(period, first, last, service.now().astimezone(UTC).date())
        tariff = service.tariff(model, at)
        found = service.calls.reprice(tenant_id, *days, tariff, group_by)
        if as_format == "csv":
            rows = found.by_agent if found.groups is None else found.groups
            return to_table(RepricedName, [RepricedName(**_to_row("name", row)) for row in rows], "what_if", ("name",))
        return WhatIf(
            price=to_current_price(model, tariff),
            current_period=RepricedPeriod(**_figures(found.total), **_bounds(*days)),
            by_agent=[RepricedAgent(**_to_row("agent_id", row)) for row in found.by_agent],
            by_model=[RepricedModel(**_to_row("model", row)) for row in found.by_model],
            daily=[RepricedDay(**_to_row("date", row)) for row in found.daily],
            groups=None if found.groups is None else [RepricedName(**_to_row("name", row)) for row in found.groups],
        )

    return routes


def _to_row(key: str, group: RepricedGroup) -> dict[str, Any]:
    return {key: group.usage.name, **_figures(group)}


def _figures(group: RepricedGroup) -> dict[str, Any]:
    usage = group.usage
    return {
        "actual_cost": usage.cost,
        "repriced_cost": group.repriced,
        "difference": group.repriced - usage.cost,
        "tokens": usage.tokens,
        "requests": usage.requests,
        "kept": group.kept,
        "unpriced": group.unpriced,
        "reserved": usage.reserved,
        "unknown": usage.unknown,
        "open_cost": usage.open_cost,
    }


def _bounds(first: date, last: date) -> dict[str, datetime]:
    return {
        "period_start": datetime.combine(first, time.min, UTC),
        "period_end": datetime.combine(last, time(23, 59, 59), UTC),
    }

"""Request and response models of limits on cost."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from api.http.schemas import Body, Listing, Money, Timestamp, View
from domain.costs.limits.breach import LimitState
from domain.costs.limits.commands import LimitChange
from domain.costs.limits.events import OnBreach, Window
from domain.costs.limits.ports import LimitView
from domain.costs.limits.scopes import SCOPE_NAME, TENANT, is_operators, name_of, scope_of, window_end
from domain.tenant_ids import refuse_invalid

MOST_AT_ONCE = 100
ScopeName = Annotated[
    str,
    StringConstraints(pattern=SCOPE_NAME, max_length=210),
    Field(
        description="`global`, `tenant:<id>`, `key:<id>`, `project:<id>`, `agent:<id>`, or `workflow:<id>`: a run by"
        " its `workflow_id`, with everything below it."
    ),
]
_Amount = Annotated[
    Decimal | None,
    Field(ge=0, le=1_000_000_000, max_digits=16, decimal_places=6, description="US dollars; null removes the limit."),
]


def refuse_unfit_scope(scope: str, window: Window) -> None:
    """Return if the scope can exist, and have this window.

    Raises:
        ValueError: it cannot.
    """
    kind, _, of = scope.partition(":")
    if window == "run" and kind != "workflow":
        raise ValueError("the window `run` is for the scope `workflow:<id>`")
    if kind == TENANT:
        refuse_invalid(of)


class LimitOrder(Body):
    """A limit as it is to be, as a number or a string with the exact decimal."""

    scope: ScopeName
    window: Window
    limit_usd: _Amount
    on_breach: OnBreach = "fail"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        refuse_unfit_scope(self.scope, self.window)
        return self

    def to_change(self, tenant_id: str) -> LimitChange:
        return LimitChange(scope_of(self.scope, tenant_id), self.window, self.limit_usd, self.on_breach)


class LimitOrders(Body):
    """The limits to set. What is not named stays as it is; each is named once."""

    limits: list[LimitOrder] = Field(min_length=1, max_length=MOST_AT_ONCE)

    @model_validator(mode="after")
    def _names_each_limit_once(self) -> Self:
        named = [(limit.scope, limit.window) for limit in self.limits]
        if len(named) > len(set(named)):
            raise ValueError("a limit is named twice")
        return self

    @property
    def has_operators(self) -> bool:
        """True if one of them is an operator's."""
        return any(is_operators(limit.scope) for limit in self.limits)


class CostLimit(View):
    """A limit, and the cost of its scope in the current window, in US dollars.

    `spent` is the cost of settled and cut calls, `reserved` the worst case of open ones, `unknown` that of calls whose
    end is not known; all of the calls that were reserved in this window (UTC; weeks begin on Monday). `remaining` is
    what further calls may cost at most. `granted` are the allowances that people gave to runs beyond the limit in this
    window: calls of these runs count against them, and not against the limit. `state` is `reached` when nothing
    remains. `window_start` and `window_end` are null for the window `run`. `version` counts the changes of the limit.
    """

    scope: str
    window: Window
    limit_usd: Money
    on_breach: OnBreach
    spent: Money
    reserved: Money
    unknown: Money
    remaining: Money
    granted: Money
    state: LimitState
    window_start: date | None
    window_end: date | None
    time_zone: Literal["UTC"] = "UTC"
    version: int
    set_by: str
    set_at: Timestamp


class CostLimits(Listing):
    """Limits, by scope and window."""

    data: list[CostLimit]


def to_limit(found: LimitView) -> CostLimit:
    """Return a limit as it is shown."""
    end = window_end(found.window, found.starts)
    return CostLimit(
        scope=name_of(found.scope),
        window=found.window,
        limit_usd=found.limit_usd,
        on_breach=found.on_breach,
        spent=found.charge.spent,
        reserved=found.charge.reserved,
        unknown=found.charge.unknown,
        remaining=found.remaining,
        granted=found.granted,
        state="ok" if found.remaining > 0 else "reached",
        window_start=found.starts if end else None,
        window_end=end,
        version=found.version,
        set_by=found.set_by,
        set_at=found.set_at,
    )

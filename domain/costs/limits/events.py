"""Events of limits on cost, and of allowances beyond them. Scopes are in the form of `scopes.py`."""

from datetime import date
from decimal import Decimal
from typing import Literal

from domain.events import Event

Window = Literal["day", "week", "month", "run"]
OnBreach = Literal["fail", "ask"]


class LimitSet(Event):
    """A limit was set, or removed if `limit_usd` is None. On a breach a call fails, or a person is asked."""

    NAME = "costs.limit_set"
    scope: str
    window: Window
    limit_usd: Decimal | None = None
    on_breach: OnBreach = "fail"


class AllowanceGranted(Event):
    """A person allowed a run to spend this much beyond a limit, in the window that began on the day `starts` (UTC)."""

    NAME = "costs.allowance_granted"
    run_id: str
    scope: str
    window: Window
    starts: date
    amount_usd: Decimal
    approval_id: str


EVENTS: tuple[type[Event], ...] = (LimitSet, AllowanceGranted)

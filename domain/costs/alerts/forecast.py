"""The forecast of a window's cost, from the daily costs before it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal

from domain.costs.limits.events import Window
from domain.costs.limits.projection import ZERO
from domain.costs.limits.scopes import window_end, window_start

METHOD: Final = "mean_of_daily_costs"
INTERVAL: Final = "normal_80_percent"
DAYS: Final = 28
"""Days before today that the mean is taken of, at most."""
LEAST_DAYS: Final = 7
"""Days with data that a forecast needs."""
_QUANTILE = Decimal("1.2816")
"""The standard normal distribution has 80 % of its mass within this many standard deviations."""
_FINEST = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cost of a whole window, in US dollars: expected, and the bounds that 80 % of such windows are within.

    It is what was spent, what today lacks of the mean of the `days` before, and this mean for each day that is left.
    The days are taken to be independent, and their sum to be normally distributed.
    """

    expected: Decimal
    low: Decimal
    high: Decimal
    days: int
    method: Literal["mean_of_daily_costs"] = METHOD
    interval: Literal["normal_80_percent"] = INTERVAL


def forecast(daily: Mapping[date, Decimal], window: Window, today: date) -> Forecast | None:
    """Return the forecast of the window that holds this day; None without enough days, or for a run.

    `daily` are the costs of the days that had any. Days without cost count from the first that had some on.
    """
    start = window_start(window, today)
    end = window_end(window, start)
    earlier = [day for day in daily if day < today]
    if end is None or not earlier:
        return None
    days = min((today - min(earlier)).days, DAYS)
    if days < LEAST_DAYS:
        return None
    costs = [daily.get(today - timedelta(days=n), ZERO) for n in range(1, days + 1)]
    mean = sum(costs, ZERO) / days
    variance = sum(((cost - mean) ** 2 for cost in costs), ZERO) / (days - 1)
    spent = sum((cost for day, cost in daily.items() if start <= day < end), ZERO)
    rest_of_today = max(mean - daily.get(today, ZERO), ZERO)
    left = (end - today).days
    expected = spent + rest_of_today + mean * (left - 1)
    spread = _QUANTILE * (variance * left).sqrt()
    bounds = max(expected - spread, spent), expected, expected + spread
    low, middle, high = (amount.quantize(_FINEST) for amount in bounds)
    return Forecast(middle, low, high, days)

"""The periods that analytics are asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from domain.usage import UsagePeriod, usage_days

WindowName = Literal["24h", "7d", "30d"]
_DAY = timedelta(hours=24)
_DAYS: dict[WindowName, int] = {"7d": 7, "30d": 30}


@dataclass(frozen=True, slots=True)
class WindowRequest:
    """A period by its name, or by days, which replace the name."""

    name: WindowName = "30d"
    first: date | None = None
    last: date | None = None
    time_zone: str = "UTC"

    @property
    def shown_name(self) -> str:
        """The name, or `custom` where days were given."""
        return self.name if self.first is None and self.last is None else "custom"


def resolve_window(asked: WindowRequest, now: datetime, day_of: Callable[[datetime, str], date]) -> UsagePeriod:
    """Return the period: the last 24 hours, or whole days of the time zone up to today.

    Raises:
        domain.errors.Invalid: the days are no period, or the time zone is unknown.
    """
    today = day_of(now, asked.time_zone)
    if asked.shown_name == "24h":
        since = now - _DAY
        return UsagePeriod(day_of(since, asked.time_zone), today, asked.time_zone, since)
    first, last = usage_days(asked.first, asked.last, today, days=_DAYS.get(asked.name, 30))
    return UsagePeriod(first, last, asked.time_zone)

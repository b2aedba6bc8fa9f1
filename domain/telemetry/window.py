"""The range of time that figures are about, rounded to what rollups still tell apart."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from domain.errors import Invalid

TelemetryWindow = Literal["1h", "24h", "7d", "30d"]
Interval = Literal["1m", "1h", "1d"]

WINDOWS: dict[TelemetryWindow, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
STEPS: dict[Interval, timedelta] = {"1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": timedelta(days=1)}
LONGEST = timedelta(days=366)
LONGEST_BY_HOURS = timedelta(days=31)

_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start` on, until before `end`; without an end it goes on. `until` is the end that is shown."""

    start: datetime
    end: datetime | None
    until: datetime
    interval: Interval

    @property
    def whole_days(self) -> tuple[datetime, datetime]:
        """The days that lie in the range entirely, from the first until before the second; none if they are equal."""
        first = floor(self.start - timedelta(microseconds=1), "1d") + STEPS["1d"]
        return first, max(first, floor(self.until, "1d"))

    def points(self) -> list[datetime]:
        """Return the beginnings of all intervals of the range, the first and last of which may be cut."""
        point, found = floor(self.start, self.interval), []
        while point < self.until:
            found.append(point)
            point += STEPS[self.interval]
        return found


def floor(moment: datetime, interval: Interval) -> datetime:
    """Return the beginning of the minute, hour or day (UTC) that a moment is in."""
    match interval:
        case "1m":
            return moment.replace(second=0, microsecond=0)
        case "1h":
            return moment.replace(minute=0, second=0, microsecond=0)
        case "1d":
            return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def recent(window: TelemetryWindow, interval: Interval | None, now: datetime) -> TimeRange:
    """Return the range of the last hour, to the minute, or of the last hours or days, to the hour.

    Raises:
        Invalid: the interval is too fine for the window.
    """
    start = floor(now - WINDOWS[window], "1m" if window == "1h" else "1h")
    return _check(TimeRange(start, None, now, interval or _usual(WINDOWS[window])), now)


def between(start: datetime, end: datetime | None, interval: Interval | None, now: datetime) -> TimeRange:
    """Return the range between two moments, rounded outwards to hours, or to minutes within the last hour.

    Raises:
        Invalid: the end is not after the start, or the range or its interval cannot be.
    """
    if start >= (end or now):
        raise Invalid("from must be before to, and in the past", field="from", reason="not before to")
    unit: Interval = "1m" if start >= now - _HOUR else "1h"
    begin = floor(start, unit)
    if end is None:
        return _check(TimeRange(begin, None, now, interval or _usual(now - begin)), now)
    until = floor(end - timedelta(microseconds=1), unit) + STEPS[unit]
    return _check(TimeRange(begin, until, until, interval or _usual(until - begin)), now)


def _usual(length: timedelta) -> Interval:
    if length <= _HOUR + STEPS["1m"]:
        return "1m"
    return "1h" if length <= timedelta(hours=49) else "1d"


def _check(found: TimeRange, now: datetime) -> TimeRange:
    length = found.until - found.start
    if length > LONGEST:
        raise Invalid(f"a range has at most {LONGEST.days} days", field="from", reason="too long a range")
    if found.interval == "1m" and found.start < now - _HOUR - STEPS["1m"]:
        reason = "minutes are told apart within the last hour only"
        raise Invalid(f"interval: {reason}", field="interval", reason=reason)
    if found.interval == "1h" and length > LONGEST_BY_HOURS + _HOUR:
        reason = f"hours are listed for at most {LONGEST_BY_HOURS.days} days"
        raise Invalid(f"interval: {reason}", field="interval", reason=reason)
    return found

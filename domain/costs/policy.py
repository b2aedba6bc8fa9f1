"""Decisions of the cost ledger: periods, and overdue reservations."""

import calendar
from datetime import date, datetime, timedelta

from domain.errors import Invalid

OVERDUE = timedelta(seconds=60)
"""A reservation is overdue this long after its deadline: its attempt is recorded as unknown."""


_BEGINNING = date(1970, 1, 1)


def month(day: date) -> tuple[date, date]:
    """Return the first and last day of the day's month."""
    return day.replace(day=1), day.replace(day=calendar.monthrange(day.year, day.month)[1])


def period(name: str | None, first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """Return the first and last day (UTC) requested: by dates, by name, or the current month.

    `name` is `day`, `week` (from Monday), `month`, or a month such as `2026-11`.

    Raises:
        Invalid: the dates are the wrong way round.
    """
    if first is not None or last is not None:
        end = last or max(today, first or today)
        start = first or min(_BEGINNING, end)
        if start > end:
            raise Invalid("the period ends before it begins", field="from", reason=f"{start} is after {end}")
        return start, end
    match name:
        case None | "month":
            return month(today)
        case "day":
            return today, today
        case "week":
            monday = today - timedelta(days=today.weekday())
            return monday, monday + timedelta(days=6)
        case _:
            return month(datetime.strptime(f"{name}-01+0000", "%Y-%m-%d%z").date())

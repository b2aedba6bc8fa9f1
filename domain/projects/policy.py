"""The period of a project's daily figures."""

from datetime import date, timedelta

from domain.errors import Invalid

DEFAULT_DAYS = 30
MAX_DAYS = 366


def usage_days(first: date | None, last: date | None, today: date) -> tuple[date, date]:
    """Return the first and last day: the last 30 days if none is given, 30 days before or after if one is.

    Raises:
        Invalid: the period ends before it begins, has more than 366 days, or is outside of the calendar.
    """
    width = timedelta(days=DEFAULT_DAYS - 1)
    try:
        end = last or (min(first + width, max(today, first)) if first else today)
        start = first or end - width
    except OverflowError as error:
        raise Invalid("the period is outside of the calendar", field="to", reason="too early or too late") from error
    if start > end:
        raise Invalid("the period ends before it begins", field="from", reason=f"{start} is after {end}")
    if (end - start).days >= MAX_DAYS:
        raise Invalid(f"the period has more than {MAX_DAYS} days", field="from", reason=f"more than {MAX_DAYS} days")
    return start, end

"""Usage: the figures of model calls, conversations and runs in a period, whatever they are counted for."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain.errors import Invalid

DEFAULT_DAYS = 30
MAX_DAYS = 366


@dataclass(frozen=True, slots=True)
class UsageFigures:
    """The figures of everything in a scope, in all or on one day.

    The figures of calls have the definitions of the cost ledger; `executions` count those that no other execution
    started, `conversations` chats that no run started, `turns` their turns.
    """

    cost: Decimal
    tokens: int
    requests: int
    reserved: int
    failed: int
    unknown: int
    open_cost: Decimal
    conversations: int
    turns: int
    executions: int
    swarms: int


@dataclass(frozen=True, slots=True)
class DayOfUsage:
    """The usage of one day."""

    day: date
    usage: UsageFigures


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """Days of a time zone, both included; with `since`, without what came before that moment."""

    first: date
    last: date
    time_zone: str
    since: datetime | None = None


def sum_usage(days: Iterable[DayOfUsage]) -> UsageFigures:
    """Return the figures of all days together: nothing counts on two days."""
    usages = [each.usage for each in days]
    sums = {field.name: sum(getattr(usage, field.name) for usage in usages) for field in fields(UsageFigures)}
    return UsageFigures(**{**sums, "cost": Decimal(sums["cost"]), "open_cost": Decimal(sums["open_cost"])})


def usage_days(first: date | None, last: date | None, today: date, *, days: int = DEFAULT_DAYS) -> tuple[date, date]:
    """Return the first and last day: the last `days` if none is given, as many before or after if one is.

    Raises:
        Invalid: the period ends before it begins, has more than 366 days, or is outside of the calendar.
    """
    width = timedelta(days=days - 1)
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

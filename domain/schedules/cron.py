"""Cron expressions of five fields, as the sets of values that they stand for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from domain.errors import Invalid

MAX_CRON = 200
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(\*|[0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3}))?(?:/([0-9]{1,2}))?")


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields: its name, and the values that it can have, the first of `names` being `lowest`."""

    name: str
    lowest: int
    highest: int
    names: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


@dataclass(frozen=True, slots=True)
class CronTimes:
    """The minutes, hours, days, months and weekdays (Sunday is 0) at which it is time; all have to match."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]


def parse_cron(text: str) -> CronTimes:
    """Parse `minute hour day-of-month month day-of-week`: numbers, names, `*`, ranges, steps and lists.

    Raises:
        Invalid: it is none, it never comes, or it restricts both kinds of days, which cron programs read differently.
    """
    parts = text.lower().split(" ") if len(text) <= MAX_CRON else []
    if len(parts) != len(_FIELDS):
        raise _invalid("five fields are needed, separated by one space: minute hour day-of-month month day-of-week")
    minutes, hours, days, months, weekdays = (
        tuple(sorted(_values(field, part))) for field, part in zip(_FIELDS, parts, strict=True)
    )
    times = CronTimes(minutes, hours, days, months, tuple(sorted({day % 7 for day in weekdays})))
    if len(times.days) < _FIELDS[2].highest and len(times.weekdays) < len(_DAYS):
        raise _invalid("a day of the month and a day of the week cannot both be set: make two schedules")
    if not any(day <= _LENGTHS[month - 1] for month in times.months for day in times.days):
        raise _invalid("such a day never comes")
    return times


def _values(field: _Field, part: str) -> set[int]:
    return {value for piece in part.split(",") for value in _range(field, piece)}


def _range(field: _Field, piece: str) -> Iterator[int]:
    found = _PART.fullmatch(piece)
    if found is None:
        raise _invalid(f"{field.name}: {piece[:40]!r} is not understood")
    first, last, step = found.groups()
    if first == "*":
        if last is not None:
            raise _invalid(f"{field.name}: {piece!r} is not understood")
        start, end = field.lowest, min(field.highest, 6) if field.names == _DAYS else field.highest
    else:
        start = _value(field, first)
        end = _value(field, last) if last is not None else start
    if step is not None and (int(step) == 0 or (first != "*" and last is None)):
        raise _invalid(f"{field.name}: a step above 0 follows `*` or a range")
    if start > end:
        raise _invalid(f"{field.name}: the range {piece!r} is backwards")
    return iter(range(start, end + 1, int(step or 1)))


def _value(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names.index(text) + field.lowest
    if not text.isdecimal() or not field.lowest <= int(text) <= field.highest:
        raise _invalid(f"{field.name}: {text!r} is not between {field.lowest} and {field.highest}")
    return int(text)


def _invalid(reason: str) -> Invalid:
    return Invalid(f"cron: {reason}", field="cron", reason=reason)

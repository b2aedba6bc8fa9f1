"""Filters of a search: conditions on metadata and on the date of documents, parsed from what a caller sends."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, cast

from domain.errors import Invalid
from domain.knowledge.policy import first_day, last_day, years_of

Scalar = str | int | float | bool | None
Operator = Literal["gt", "gte", "lt", "lte"]

MAX_CONDITIONS = 20
MAX_VALUES = 100
MAX_VALUE = 1_000
MAX_FIELD = 200
DATE_RANGE = "date_range"

_OPERATORS = ("gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field has one of these values, or is a list that contains one of them."""

    field: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The field is a number, or a text, within these bounds; texts are compared by their code points."""

    field: str
    bounds: tuple[tuple[Operator, float | str], ...]


@dataclass(frozen=True, slots=True)
class DateRange:
    """The document's date lies within these days, both included; None does not bound."""

    first: date | None
    last: date | None


Condition = AnyOf | Range | DateRange


def parse_filters(filters: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions, all of which have to hold.

    Raises:
        Invalid: a filter has another form; the details name its field.
    """
    if len(filters) > MAX_CONDITIONS:
        raise _invalid("filters", f"has more than {MAX_CONDITIONS} conditions")
    return tuple(_condition(field, value) for field, value in filters.items())


def _condition(field: str, value: Any) -> Condition:
    if not 0 < len(field) <= MAX_FIELD:
        raise _invalid("filters", f"a field has 1 to {MAX_FIELD} characters")
    if field == DATE_RANGE:
        return _date_range(value)
    if isinstance(value, dict):
        return Range(field, tuple(_bounds(field, value)))
    values = value if isinstance(value, list) else [value]
    if not 0 < len(values) <= MAX_VALUES:
        raise _invalid(f"filters.{field}", f"needs 1 to {MAX_VALUES} values")
    return AnyOf(field, tuple(_scalar(field, each) for each in values))


def _scalar(field: str, value: Any) -> Scalar:
    if isinstance(value, dict | list):
        raise _invalid(f"filters.{field}", "is compared with text, numbers, true, false or null")
    if isinstance(value, str) and len(value) > MAX_VALUE:
        raise _invalid(f"filters.{field}", f"has more than {MAX_VALUE} characters")
    return cast("Scalar", value)


def _bounds(field: str, value: Mapping[str, Any]) -> Iterator[tuple[Operator, float | str]]:
    if not value or not value.keys() <= set(_OPERATORS):
        raise _invalid(f"filters.{field}", f"a range has the bounds {', '.join(_OPERATORS)}")
    bounds = {name: _scalar(field, bound) for name, bound in value.items()}
    is_text = [isinstance(bound, str) for bound in bounds.values()]
    if any(bound is None or isinstance(bound, bool) for bound in bounds.values()) or len(set(is_text)) > 1:
        raise _invalid(f"filters.{field}", "the bounds of a range are numbers, or texts")
    yield from ((cast("Operator", name), cast("float | str", bound)) for name, bound in bounds.items())


def _date_range(value: Any) -> DateRange:
    if isinstance(value, str):
        years = years_of(value)
        first, last = years or (first_day(value), last_day(value))
    elif isinstance(value, dict) and value and value.keys() <= {"from", "to"}:
        first, last = _day(value.get("from"), first_day), _day(value.get("to"), last_day)
    else:
        first = last = None
    if first is None and last is None:
        raise _invalid(f"filters.{DATE_RANGE}", 'is "2024-2025", a date, or {"from": a date, "to": a date}')
    if first and last and first > last:
        raise _invalid(f"filters.{DATE_RANGE}", "begins after its end")
    return DateRange(first, last)


def _day(value: Any, of: Any) -> date | None:
    if value is None:
        return None
    day = of(value) if isinstance(value, str) else None
    if day is None:
        raise _invalid(f"filters.{DATE_RANGE}", "its bounds are dates such as 2024, 2024-06 or 2024-06-30")
    return cast("date", day)


def _invalid(field: str, reason: str) -> Invalid:
    return Invalid(f"{field}: {reason}", field=field, reason=reason)

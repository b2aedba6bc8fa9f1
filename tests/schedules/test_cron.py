"""Cron expressions: what they stand for, and which are refused."""

import pytest

from domain.errors import Invalid
from domain.schedules.cron import MAX_CRON, CronTimes, parse_cron

ALL = {
    "hours": tuple(range(24)),
    "days": tuple(range(1, 32)),
    "months": tuple(range(1, 13)),
    "weekdays": tuple(range(7)),
}


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("*/15 * * * *", "minutes", (0, 15, 30, 45)),
        ("5,3-4,59 * * * *", "minutes", (3, 4, 5, 59)),
        ("0 8-18/5 * * *", "hours", (8, 13, 18)),
        ("0 0 1,15 * *", "days", (1, 15)),
        ("0 0 * Jan-mar *", "months", (1, 2, 3)),
        ("0 0 * * MON-FRI", "weekdays", (1, 2, 3, 4, 5)),
        ("0 0 * * 7", "weekdays", (0,)),
        ("0 0 * * 5-7", "weekdays", (0, 5, 6)),
        ("0 0 * * */2", "weekdays", (0, 2, 4, 6)),
        ("0 0 29 2 *", "days", (29,)),
    ],
)
def test_a_field_stands_for_its_values(text: str, field: str, values: tuple[int, ...]) -> None:
    assert getattr(parse_cron(text), field) == values


def test_stars_stand_for_everything() -> None:
    assert parse_cron("* * * * *") == CronTimes(minutes=tuple(range(60)), **ALL)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@daily",
        "* * * *",
        "* * * * * *",
        "*  * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "-1 * * * *",
        "1.5 * * * *",
        "5/15 * * * *",
        "*/0 * * * *",
        "10-5 * * * *",
        "*-5 * * * *",
        ", * * * *",
        "1,,2 * * * *",
        "mon * * * *",
        "* * * * jan",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 13 * 5",
        "CRON_TZ=UTC 0 0 * *",
        "0 0 * * fri#2",
        "0 0 L * *",
        "٣ * * * *",
        "* * * * *\n",
        "0" * (MAX_CRON + 1),
    ],
)
def test_what_is_no_cron_never_comes_or_is_ambiguous_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_cron(text)
    assert refused.value.details["field"] == "cron"

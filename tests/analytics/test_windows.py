"""Periods: by name, by days, in time zones."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.analytics.windows import WindowRequest, resolve_window
from domain.errors import Invalid
from domain.usage import UsagePeriod

NOW = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)


def day_of(moment: datetime, time_zone: str) -> date:
    return moment.astimezone(ZoneInfo(time_zone)).date()


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        (WindowRequest(), "2026-10-29", "2026-11-27"),
        (WindowRequest("7d"), "2026-11-21", "2026-11-27"),
        (WindowRequest("7d", time_zone="Europe/Berlin"), "2026-11-22", "2026-11-28"),
        (WindowRequest("7d", first=date(2026, 11, 25)), "2026-11-25", "2026-11-27"),
        (WindowRequest("7d", first=date(2026, 1, 1)), "2026-01-01", "2026-01-07"),
        (WindowRequest("30d", last=date(2026, 1, 30)), "2026-01-01", "2026-01-30"),
        (WindowRequest("24h", date(2026, 1, 1), date(2026, 1, 2)), "2026-01-01", "2026-01-02"),
    ],
)
def test_a_window_is_whole_days_of_the_time_zone_up_to_today(asked: WindowRequest, first: str, last: str) -> None:
    found = resolve_window(asked, NOW, day_of)
    assert (str(found.first), str(found.last), found.since) == (first, last, None)


def test_24_hours_begin_at_a_moment_and_touch_two_days() -> None:
    found = resolve_window(WindowRequest("24h"), NOW, day_of)
    assert found == UsagePeriod(date(2026, 11, 26), date(2026, 11, 27), "UTC", NOW - timedelta(hours=24))


def test_days_replace_the_name() -> None:
    assert WindowRequest("7d").shown_name == "7d"
    assert WindowRequest("7d", last=date(2026, 1, 1)).shown_name == "custom"


def test_a_period_that_is_none_is_refused() -> None:
    for first, last in ((date(2026, 1, 2), date(2026, 1, 1)), (date(2024, 1, 1), date(2026, 1, 1))):
        with pytest.raises(Invalid):
            resolve_window(WindowRequest(first=first, last=last), NOW, day_of)

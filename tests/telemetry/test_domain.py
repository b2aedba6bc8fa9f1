"""Sketches, rollups and windows of telemetry."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import Invalid
from domain.telemetry import window as windows
from domain.telemetry.event import NO_AGENT, TelemetryEvent, key_of_id, key_of_request, key_of_source
from domain.telemetry.sketch import RELATIVE_ERROR, SMALLEST, Sketch, quantile, sketch_of
from domain.telemetry.sums import Distribution, Sums

NOW = datetime(2026, 11, 28, 10, 30, 15, tzinfo=UTC)


def event(at: datetime = NOW, **more: object) -> TelemetryEvent:
    fields: dict[str, object] = {
        "key": None,
        "is_timed": True,
        "event_type": "answer",
        "agent_id": NO_AGENT,
        "duration_ms": None,
        "tokens_used": None,
        "success": None,
        "metadata": None,
        **more,
    }
    return TelemetryEvent(at, **fields)  # type: ignore[arg-type]


def exact(values: list[float], share: float) -> float:
    ranked = sorted(values)
    return ranked[max(1, -int(-share * len(ranked) // 1)) - 1]


@given(st.lists(st.floats(0.002, 1e12), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_within_the_stated_error_of_the_true_one(values: list[float], share: float) -> None:
    found, true = quantile(sketch_of(values), share), exact(values, share)
    assert found is not None
    assert abs(found - true) <= RELATIVE_ERROR * true * (1 + 1e-9)


def test_tiny_values_count_as_zero_and_no_values_have_no_quantile() -> None:
    assert quantile(sketch_of([0, SMALLEST, 5]), 0.5) == 0
    assert quantile(sketch_of([]), 0.5) is None


def test_sketches_add_up_to_the_sketch_of_all_values() -> None:
    chance = random.Random(7)  # noqa: S311  (no secret)
    values = [chance.lognormvariate(5, 2) for _ in range(1000)]
    parts = [sketch_of(values[start : start + 100]) for start in range(0, 1000, 100)]
    counts: dict[int, int] = {}
    for part in parts:
        for bucket, count in zip(part.buckets, part.counts, strict=True):
            counts[bucket] = counts.get(bucket, 0) + count
    assert Sketch(sorted(counts), [counts[bucket] for bucket in sorted(counts)]) == sketch_of(values)


def test_no_quantile_exceeds_the_largest_value_and_a_rate_counts_events_that_tell() -> None:
    found = Distribution(2, 40.0, 30.0, sketch_of([10.0, 30.0]))
    assert (found.mean, found.quantile(0.99)) == (20.0, 30.0)
    assert (Distribution().mean, Distribution().quantile(0.5)) == (None, None)
    assert (Sums(5, succeeded=1, failed=3).success_rate, Sums(5).success_rate) == (0.25, None)


def test_ids_of_events_sources_and_requests_are_different_keys() -> None:
    keys = {key_of_id("a"), key_of_source("", "a"), key_of_source("a", ""), key_of_request("a", 0), key_of_id("a0")}
    assert len(keys) == 5


@pytest.mark.parametrize(
    ("window", "start", "interval", "points"),
    [("1h", (28, 9, 30), "1m", 61), ("24h", (27, 10, 0), "1h", 25), ("7d", (21, 10, 0), "1d", 8)],
)
def test_a_window_begins_on_a_whole_minute_or_hour(
    window: windows.TelemetryWindow, start: tuple[int, int, int], interval: str, points: int
) -> None:
    span = windows.recent(window, None, NOW)
    assert span.start == datetime(2026, 11, *start, tzinfo=UTC)
    assert (span.interval, len(span.points()), span.end) == (interval, points, None)


def test_a_range_is_rounded_outwards() -> None:
    found = windows.between(NOW - timedelta(days=3), NOW - timedelta(days=1), None, NOW)
    assert (found.start, found.end) == (datetime(2026, 11, 25, 10, tzinfo=UTC), datetime(2026, 11, 27, 11, tzinfo=UTC))
    assert found.whole_days == (datetime(2026, 11, 26, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC))
    exactly = windows.between(datetime(2026, 11, 25, tzinfo=UTC), datetime(2026, 11, 27, tzinfo=UTC), None, NOW)
    assert exactly.whole_days == (exactly.start, exactly.end)
    within = windows.between(NOW - timedelta(minutes=5), NOW, None, NOW)
    assert (within.start.minute, within.until.minute, within.interval) == (25, 31, "1m")


@pytest.mark.parametrize(
    ("start", "end", "interval"),
    [
        (NOW, NOW, None),
        (NOW + timedelta(hours=1), None, None),
        (NOW - timedelta(days=400), None, None),
        (NOW - timedelta(days=2), None, "1m"),
        (NOW - timedelta(days=40), None, "1h"),
    ],
)
def test_a_range_that_cannot_be_shown_is_refused(
    start: datetime, end: datetime | None, interval: windows.Interval | None
) -> None:
    with pytest.raises(Invalid):
        windows.between(start, end, interval, NOW)

"""Objectives: classes of requests, percentiles, burn rates, and alerts."""

from datetime import UTC, datetime

import pytest

from domain.events import Cause, RecordedEvent
from domain.governance import alerts
from domain.governance.alerts import AlertCommands
from domain.governance.objectives import (
    PERIOD_S,
    WINDOWS_S,
    ClassCounts,
    Objectives,
    WindowCounts,
    burn_rate,
    conditions,
    percentile,
)
from domain.governance.projection import GovernanceProjection, SloAlertRow
from domain.governance.request_classes import bucket_of, classify, last_bucket_within, seconds_of
from tests.system import System

CAUSE = Cause("platform", "objectives", datetime(2026, 11, 28, tzinfo=UTC), "default")
OBJECTIVES = Objectives(availability=99.9, response_time_s=2.0, error_rate=1.0)


def counts(requests: int, failed: int = 0, seconds: float = 0.1) -> WindowCounts:
    """So many reads, of which so many failed, each of so many seconds."""
    reads = ClassCounts()
    reads.add(bucket_of(seconds), requests - failed, failed=False)
    reads.add(bucket_of(seconds), failed, failed=True)
    return WindowCounts({"read": reads})


def everywhere(found: WindowCounts) -> dict[int, WindowCounts]:
    return dict.fromkeys(WINDOWS_S, found)


@pytest.mark.parametrize(
    ("route", "method", "kind"),
    [
        ("/api/v1/talents", "GET", "read"),
        ("/api/v1/talents", "POST", "write"),
        ("/api/v1/agents/chat", "POST", "model"),
        ("/api/v1/agents/chat/{session_id}/stream", "GET", "stream"),
        ("/health/live", "GET", None),
        ("/metrics", "GET", None),
        ("unmatched", "GET", None),
    ],
)
def test_a_request_is_classed_by_its_route(route: str, method: str, kind: str | None) -> None:
    assert classify(route, method) == kind


@pytest.mark.parametrize("seconds", [0.0002, 0.0123, 0.1, 1.0, 1.8, 2.0, 59.9, 3_600.0])
def test_a_duration_read_from_a_bucket_is_at_most_five_percent_off(seconds: float) -> None:
    assert seconds_of(bucket_of(seconds)) == pytest.approx(seconds, rel=0.0501)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e9])
def test_durations_beyond_all_buckets_are_in_the_outermost(seconds: float) -> None:
    assert -100 <= bucket_of(seconds) <= 120


def test_a_duration_within_the_objective_is_never_counted_as_slow() -> None:
    assert bucket_of(1.8) <= last_bucket_within(2.0)
    assert bucket_of(2.2) > last_bucket_within(2.0)


def test_the_percentile_is_that_of_the_sorted_durations() -> None:
    durations = [0.01 * number for number in range(1, 101)]
    buckets: dict[int, int] = {}
    for seconds in durations:
        buckets[bucket_of(seconds)] = buckets.get(bucket_of(seconds), 0) + 1
    assert percentile(buckets, 0.95) == pytest.approx(0.95, rel=0.0501)
    assert percentile({}, 0.95) is None


def test_a_budget_that_lasts_exactly_burns_at_the_rate_one() -> None:
    assert burn_rate(counts(10_000, 10), "availability", OBJECTIVES) == pytest.approx(1.0)
    assert burn_rate(WindowCounts(turns=200, failed_turns=4), "error_rate", OBJECTIVES) == pytest.approx(2.0)
    assert burn_rate(WindowCounts(), "availability", OBJECTIVES) == 0.0


def test_requests_that_wait_for_a_model_do_not_count_as_slow() -> None:
    slow = counts(100, seconds=30.0)
    assert burn_rate(slow, "response_time", OBJECTIVES) == pytest.approx(20.0)
    assert burn_rate(WindowCounts({"model": slow.classes["read"]}), "response_time", OBJECTIVES) == 0.0


def test_an_alert_needs_both_windows_and_more_than_a_few_failures() -> None:
    bad, good = counts(1_000, 50), counts(1_000)
    assert {(each.indicator, each.rule) for each in conditions(everywhere(bad), OBJECTIVES)} == {
        ("availability", "1h/5m"),
        ("availability", "6h/30m"),
        ("availability", "3d/6h"),
    }
    over = {**everywhere(bad), 300: good, 1_800: good, 21_600: good}
    assert list(conditions(over, OBJECTIVES)) == []
    assert list(conditions(everywhere(counts(3, 1)), OBJECTIVES)) == []


def test_a_response_time_near_its_objective_is_a_warning() -> None:
    windows = {**everywhere(counts(1_000)), PERIOD_S: counts(1_000, seconds=1.85)}
    [found] = conditions(windows, OBJECTIVES)
    assert (found.rule, found.severity, found.threshold) == ("30d", "warning", 2.0)
    assert found.current == pytest.approx(1.85, rel=0.0501)


async def test_alerts_open_once_close_once_and_have_a_history(system: System) -> None:
    commands = AlertCommands(system.parts.ledger)
    bad, good = everywhere(counts(1_000, 50)), everywhere(counts(1_000))
    assert commands.evaluate(bad, OBJECTIVES, CAUSE) == 3
    assert commands.evaluate(bad, OBJECTIVES, CAUSE) == 0
    shown = (await system.http.get("/api/v1/governance/slo")).raise_for_status().json()
    assert {(each["indicator"], each["rule"]) for each in shown["alerts"]} == {
        ("availability", "1h/5m"),
        ("availability", "6h/30m"),
        ("availability", "3d/6h"),
    }
    assert commands.evaluate(good, OBJECTIVES, CAUSE) == 3
    assert commands.evaluate(good, OBJECTIVES, CAUSE) == 0
    history = (await system.http.get("/api/v1/governance/slo/alerts")).raise_for_status().json()
    assert [each["status"] for each in history["data"]] == ["closed"] * 3
    opened = await system.http.get("/api/v1/governance/slo/alerts", params={"open": True})
    assert opened.json()["pagination"]["total"] == 0
    assert commands.evaluate(bad, OBJECTIVES, CAUSE) == 3
    assert (await system.http.get("/api/v1/governance/slo/alerts")).json()["pagination"]["total"] == 6


class Rows:
    """Rows in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, SloAlertRow] = {}

    def get(self, _: type, key: str) -> SloAlertRow | None:
        return self.kept.get(key)

    def put(self, row: SloAlertRow) -> None:
        self.kept[row.alert_id] = row


def test_the_view_keeps_an_alert_with_both_figures() -> None:
    rows, projection = Rows(), GovernanceProjection()
    opened = alerts.SloAlertOpened(
        alert_id="alert_1",
        indicator="error_rate",
        rule="3d/6h",
        severity="warning",
        threshold=1.0,
        current=1.5,
        **CAUSE.fields(),
    )
    closed = alerts.SloAlertClosed(
        alert_id="alert_1", indicator="error_rate", rule="3d/6h", current=0.5, **CAUSE.fields()
    )
    for position, event in enumerate((opened, closed), 1):
        projection.project(RecordedEvent(position, "slo_alert:error_rate:3d/6h", position, event), rows)  # type: ignore[arg-type]
    row = rows.kept["alert_1"]
    assert (row.opened_value, row.closed_value, row.closed_at) == (1.5, 0.5, CAUSE.at)

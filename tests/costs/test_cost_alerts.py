"""Alerts on cost and forecasts: the rule as a function, and its evaluation on a real ledger."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.costs.alert_evaluation import CostAlertActivities
from adapters.postgres.billing.cost_alerts import PostgresCostAlerts
from adapters.postgres.ledger.pool import Database
from adapters.postgres.projections.rebuild import Rebuild
from adapters.postgres.projections.runner import ProjectionRunner
from domain.costs.alerts.commands import AlertRule, CostAlertCommands
from domain.costs.alerts.events import CostAlertFired
from domain.costs.alerts.forecast import forecast
from domain.costs.alerts.projection import CostAlertsProjection
from domain.errors import NotFound
from domain.events import Cause
from domain.registry import event_registry
from tests.costs.test_books import COST, REPLY
from tests.costs.test_limits import ALONE, KEY, NOON, Books

TODAY = date(2026, 11, 18)
CAUSE = Cause("key_1", "req_1", NOON, "default")


def daily(*costs: str, today: str = "0") -> dict[date, Decimal]:
    """The costs of the days before today, the newest first."""
    found = {TODAY - timedelta(days=n): Decimal(cost) for n, cost in enumerate(costs, 1)}
    return {day: cost for day, cost in {**found, TODAY: Decimal(today)}.items() if cost}


def test_equal_days_are_forecast_exactly() -> None:
    found = forecast(daily(*["2"] * 17), "month", TODAY)
    assert found is not None
    assert (found.expected, found.low, found.high, found.days) == (60, 60, 60, 17)
    spent_today = forecast(daily(*["2"] * 17, today="5"), "month", TODAY)
    assert spent_today is not None
    assert spent_today.expected == 63, "what today has cost above the mean counts, and is not expected again"


def test_the_interval_widens_with_the_days_left_and_is_not_below_what_was_spent() -> None:
    found = forecast(daily(*["0", "4"] * 14), "month", TODAY)
    assert found is not None
    spent = sum((cost for day, cost in daily(*["0", "4"] * 14).items() if day >= date(2026, 11, 1)), Decimal(0))
    assert found.expected == spent + 13 * 2
    deviation = (Decimal(4 * 28) / 27 * 13).sqrt() * Decimal("1.2816")
    assert found.high - found.expected == pytest.approx(deviation)
    assert found.expected - found.low == pytest.approx(deviation)
    rare = forecast(daily(*["0"] * 20, "300"), "month", TODAY)
    assert rare is not None
    assert rare.low == 0


@pytest.mark.parametrize("costs", [[], ["3"] * 6])
def test_without_a_week_of_data_there_is_no_forecast(costs: list[str]) -> None:
    assert forecast(daily(*costs), "month", TODAY) is None
    assert forecast(daily(*["3"] * 40), "run", TODAY) is None


def test_days_without_cost_count_from_the_first_with_some() -> None:
    found = forecast(daily(*["0"] * 9, "10"), "month", TODAY)
    assert found is not None
    assert (found.days, found.expected) == (10, 10 + 13)


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    database = Database(database_url, size=4)
    database.open()
    yield Books(database)
    database.close()


def created(books: Books, **rule: Any) -> str:
    wanted = {"scope": KEY[0], "window": KEY[1], "measure": "spent", **rule}
    return CostAlertCommands(books.ledger).create(AlertRule(**wanted), replace(CAUSE, at=books.at)).alert_id


def evaluated(books: Books) -> int:
    ProjectionRunner(books.database.dsn, event_registry(), [CostAlertsProjection()]).catch_up()
    reads = PostgresCostAlerts(books.database)
    return CostAlertActivities(books.ledger, reads, lambda: books.at).evaluate_cost_alerts()


def spend(books: Books, *calls: object) -> None:
    for call in calls:
        books.calls.settle(books.reserve(call), REPLY, ALONE, "req_1")


def firings(books: Books, alert_id: str) -> list[CostAlertFired]:
    return [event for event in books.ledger.read(f"cost-alert:{alert_id}") if isinstance(event, CostAlertFired)]


def test_an_alert_fires_once_in_a_window_and_again_in_the_next(books: Books) -> None:
    alert_id = created(books, threshold_usd=2 * COST)
    spend(books, 1)
    assert evaluated(books) == 0
    spend(books, 2)
    assert [evaluated(books) for _ in range(2)] == [1, 0]
    [fired] = firings(books, alert_id)
    assert (fired.value_usd, fired.threshold_usd, fired.starts) == (2 * COST, 2 * COST, date(2026, 11, 1))
    books.at = datetime(2026, 12, 5, tzinfo=UTC)
    assert evaluated(books) == 0
    spend(books, 3, 4, 5)
    assert evaluated(books) == 1
    assert len(firings(books, alert_id)) == 2
    done = Rebuild(books.database.dsn, event_registry(), CostAlertsProjection()).run()
    assert all(comparison.equal for comparison in done.comparisons)


def test_a_share_of_a_limit_follows_the_limit(books: Books) -> None:
    created(books, threshold_pct=Decimal(50))
    spend(books, 1)
    assert evaluated(books) == 0, "there is no limit"
    books.limit(*KEY, "1")
    assert evaluated(books) == 0
    books.limit(*KEY, str(2 * COST))
    assert evaluated(books) == 1


def test_a_forecast_fires_before_the_money_is_spent(books: Books) -> None:
    alert_id = created(books, threshold_usd=20 * COST, measure="forecast")
    for n in range(8):
        books.at = datetime(2026, 11, 3 + n, 12, tzinfo=UTC)
        spend(books, n)
    books.at = datetime(2026, 11, 11, 12, tzinfo=UTC)
    assert evaluated(books) == 1
    [fired] = firings(books, alert_id)
    assert fired.value_usd == 28 * COST


def test_a_deleted_alert_does_not_fire_and_is_its_tenants_to_delete(books: Books) -> None:
    alert_id = created(books, threshold_usd=COST)
    commands = CostAlertCommands(books.ledger)
    with pytest.raises(NotFound):
        commands.delete(alert_id, replace(CAUSE, tenant_id="acme"), check=lambda _: None)
    commands.delete(alert_id, CAUSE, check=lambda _: None)
    with pytest.raises(NotFound):
        commands.delete(alert_id, CAUSE, check=lambda _: None)
    spend(books, 1)
    assert evaluated(books) == 0

"""Analytics of a project: against the whole system, and on the views."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.ledger.pool import Database
from adapters.postgres.ledger.recorder import LedgerRecorder
from adapters.postgres.projections.runner import ProjectionRunner
from adapters.postgres.records.project_usage import PostgresProjectUsage
from domain.costs.projection import CostsProjection
from domain.errors import Invalid
from domain.ledger import Change, Ledger
from domain.registry import event_registry
from domain.usage import UsagePeriod, usage_days
from tests.costs.test_projection import reserved, settled
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, OF_ZETA, System, until

system_test = pytest.mark.asyncio(loop_scope="module")

PROJECTS = "/api/v1/projects"
USAGE = "/api/v1/cost-management/usage"
TODAY = date(2026, 11, 27)
ANSWER = {
    "nodes": [{"id": "a", "type": "agent", "agent": AGENT, "prompt": "{{ input.request }}"}],
    "edges": [],
}


async def linked_work(system: System, project: Any) -> None:
    """A chat of two turns, a swarm of two agents and an execution, all of which have ended."""
    http, session = system.http, f"talk-{uuid4().hex}"
    for _ in range(2):
        said = await system.say("Hello.", context={"session_id": session, "project_id": project}, headers=OF_ZETA)
        assert said.status_code == 200, said.text
    task = {"task": "Plan.", "agents": ["amy_cfo", "omri_data_scientist"], "context": {"project_id": project}}
    started = await http.post("/api/v1/swarm/coordinate", json=task, headers=OF_ZETA)
    assert started.status_code in {200, 202}, started.text
    drawn = await http.post("/api/v1/workflows", json={"name": f"W {uuid4().hex}", **ANSWER}, headers=OF_ZETA)
    path = f"/api/v1/workflows/{drawn.json()['id']}"
    run = {"input": {"request": "Hello."}, "context": {"project_id": project}}
    assert (await http.post(f"{path}/execute", json=run, headers=OF_ZETA)).status_code == 202
    swarm = started.headers.get("location") or f"/api/v1/swarm/{started.json()['task_id']}"
    for each in (swarm, f"{path}/status"):
        await until(
            lambda each=each: http.get(each, headers=OF_ZETA),
            lambda answer: answer.json()["status"] == "completed",
            seconds=60,
        )


@system_test
async def test_figures_of_a_project_are_those_of_the_cost_ledger(shared: System, scripted_model: ScriptedModel) -> None:
    project = (await shared.http.post(PROJECTS, json={"name": "A", "budget_usd": 2}, headers=OF_ZETA)).json()
    path = f"{PROJECTS}/{project['id']}/analytics"
    empty = (await shared.http.get(path, headers=OF_ZETA)).json()
    assert set(empty["totals"].values()) == {0}
    assert len(empty["daily"]) == 30
    for same in (project["id"], str(project["id"])):
        await linked_work(shared, same)
    answer = await shared.http.get(path, headers=OF_ZETA)
    found, usage = answer.json(), (await shared.http.get(USAGE, headers=OF_ZETA)).json()
    totals, period = found["totals"], usage["current_period"]
    assert (totals["cost"], totals["tokens"]) == (period["total_cost"], period["total_tokens"])
    assert totals["requests"] == period["requests"] >= 10
    assert totals["tokens"] > 0
    assert (totals["failed"], totals["unknown"]) == (period["failed"], period["unknown"])
    assert (totals["conversations"], totals["turns"], totals["swarms"], totals["executions"]) == (2, 4, 2, 2)
    names = ("cost", "tokens", "requests", "failed", "unknown")
    used = [{"date": day["date"], **{name: day[name] for name in names}} for day in found["daily"] if day["requests"]]
    assert used == usage["daily"]
    assert sum(day["turns"] for day in found["daily"]) == 4
    budget = found["budget"]
    assert (budget["budget_usd"], budget["spent"], budget["reserved"]) == (2, totals["cost"], period["open_cost"])
    assert budget["remaining"] == pytest.approx(2 - totals["cost"])
    assert budget["used"] == pytest.approx(totals["cost"] / 2, abs=1e-6)
    await shared.say("Hello.", context={"project_id": "another"}, headers=OF_ZETA)
    await shared.say("Hello.", headers=OF_ZETA)
    await shared.say("Hello.", context={"project_id": project["id"]})
    assert (await shared.http.get(path, headers=OF_ZETA)).json() == found, "calls of others do not count"
    grown = (await shared.http.get(USAGE, headers=OF_ZETA)).json()["current_period"]
    assert grown["requests"] == period["requests"] + 2


@system_test
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"tz": "Mars/Base"}, "tz"),
        ({"tz": "FOO+5"}, "tz"),
        ({"tz": "'; --"}, "tz"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        ({"from": "2024-01-01", "to": "2026-01-01"}, "from"),
        ({"to": "0001-01-02"}, "to"),
        ({"from": "tomorrow"}, "from"),
    ],
)
async def test_a_wrong_period_is_refused(shared: System, query: dict[str, str], field: str) -> None:
    project = (await shared.http.post(PROJECTS, json={"name": "A"})).json()
    answer = await shared.http.get(f"{PROJECTS}/{project['id']}/analytics", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"]["field"] == field


@system_test
@pytest.mark.parametrize("edge", ["0001-01-01", "9999-12-31"])
async def test_the_edges_of_the_calendar_are_days_too(shared: System, edge: str) -> None:
    project = (await shared.http.post(PROJECTS, json={"name": "A"})).json()
    days = {"from": edge, "to": edge, "tz": "Pacific/Kiritimati"}
    answer = await shared.http.get(f"{PROJECTS}/{project['id']}/analytics", params=days)
    assert answer.status_code == 200, answer.text
    assert [day["date"] for day in answer.json()["daily"]] == [edge]


def test_days_are_those_of_the_time_zone_without_gaps(database_url: str) -> None:
    """The clocks of Berlin go back on 2026-10-25, so that day has 25 hours."""
    database, registry = Database(database_url), event_registry()
    database.open()
    ledger = Ledger(LedgerRecorder(database), registry)
    night = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
    for hours in (0, 1, 25, 26):
        call, at = f"c{hours}", night + timedelta(hours=hours)
        events = [reserved(call, at=at, project_id="7"), settled(call, cost=Decimal("0.5"))]
        ledger.append(Change(f"call:{call}", 0, events), key=call)
    ProjectionRunner(database_url, registry, [CostsProjection()]).catch_up()
    usage = PostgresProjectUsage(database)

    def requests(time_zone: str) -> list[int]:
        days = UsagePeriod(date(2026, 10, 23), date(2026, 10, 27), time_zone)
        found = usage.daily("default", "7", days)
        assert [each.day.day for each in found] == [23, 24, 25, 26, 27]
        return [each.usage.requests for each in found]

    assert requests("Europe/Berlin") == [0, 1, 2, 1, 0]
    assert requests("UTC") == [0, 2, 2, 0, 0]
    assert usage.total("default", "7").cost == Decimal(2)
    assert usage.total("acme", "7").requests == 0
    assert usage.today(night, "Pacific/Kiritimati") == date(2026, 10, 25)
    database.close()


@pytest.mark.parametrize(
    ("first", "last", "days"),
    [
        (None, None, ("2026-10-29", "2026-11-27")),
        ("2026-11-20", None, ("2026-11-20", "2026-11-27")),
        ("2026-01-01", None, ("2026-01-01", "2026-01-30")),
        ("2027-01-01", None, ("2027-01-01", "2027-01-01")),
        (None, "2026-01-30", ("2026-01-01", "2026-01-30")),
        ("2026-01-01", "2026-12-31", ("2026-01-01", "2026-12-31")),
    ],
)
def test_the_period_has_thirty_days_unless_both_ends_are_given(
    first: str | None, last: str | None, days: tuple[str, str]
) -> None:
    given = [date.fromisoformat(each) if each else None for each in (first, last)]
    assert tuple(map(str, usage_days(*given, TODAY))) == days


def test_a_period_has_an_end_after_its_beginning_and_a_year_at_most() -> None:
    for first, last in ((TODAY, TODAY - timedelta(days=1)), (TODAY - timedelta(days=366), TODAY)):
        with pytest.raises(Invalid):
            usage_days(first, last, TODAY)

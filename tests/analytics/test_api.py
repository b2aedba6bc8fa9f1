"""Analytics over HTTP: shapes, periods that are refused, tables as CSV, tenants, and the tool of agents."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from api.costs.schemas import GroupUsage
from api.tables.figures import to_table
from tests.analytics.day import AMY, AVA, Day
from tests.scripted_model import ScriptedModel
from tests.system import OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYTICS = "/api/v1/analytics"
COSTS = "/api/v1/cost-management"
DRAWN = {"total_conversations", "active_agents", "response_time_avg", "success_rate", "user_satisfaction"}
A_YEAR = {"from": "2024-01-01", "to": "2026-01-01"}


async def test_the_dashboard_has_what_the_reference_draws(day: Day) -> None:
    found = await day.get(f"{ANALYTICS}/dashboard")
    assert set(found["metrics"]) >= DRAWN
    assert all(isinstance(found["metrics"][name], int | float) for name in DRAWN)
    assert len(found["trends"]["daily_usage"]) == 30
    assert set(found["trends"]["daily_usage"][-1]) >= {"date", "conversations", "cost"}
    window = found["window"]
    assert (window["name"], window["time_zone"], window["since"]) == ("30d", "UTC", None)
    assert window["period_end"] == found["trends"]["daily_usage"][-1]["date"]


async def test_agents_have_what_the_contract_names_and_come_in_pages(day: Day) -> None:
    whole = await day.get(f"{ANALYTICS}/agents")
    drawn = {"agent_id", "conversations", "tokens", "cost", "response_time_avg", "success_rate"}
    assert all(set(row) >= drawn for row in whole["data"])
    names = [row["agent_id"] for row in whole["data"]]
    assert names == sorted(names)
    page = await day.get(f"{ANALYTICS}/agents", skip=1, limit=2)
    assert (page["data"], page["total"]) == (whole["data"][1:3], len(names))
    assert page["pagination"] == {"total": len(names), "skip": 1, "limit": 2, "has_next": True, "has_prev": True}


async def test_24_hours_are_cut_at_their_moment(day: Day) -> None:
    found = await day.get(f"{ANALYTICS}/usage", window="24h", tz="America/St_Johns")
    since = datetime.fromisoformat(found["window"]["since"])
    assert abs((datetime.now(UTC) - since).total_seconds() - 24 * 3600) < 60
    assert [row["date"] for row in found["daily"]] == [found["window"]["period_start"], found["window"]["period_end"]]


@pytest.mark.parametrize("path", ["dashboard", "agents", "usage"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"window": "1y"}, "window"),
        ({"tz": "Mars/Base"}, "tz"),
        ({"tz": "+05"}, "tz"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, "from"),
        (A_YEAR, "from"),
        ({"from": "tomorrow"}, "from"),
        ({"to": "0001-01-02"}, "to"),
        ({"format": "xlsx"}, "format"),
    ],
)
async def test_a_wrong_request_is_refused_by_name(shared: System, path: str, query: dict[str, str], field: str) -> None:
    answer = await shared.http.get(f"{ANALYTICS}/{path}", params=query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize("edge", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("path", ["dashboard", "agents", "usage"])
async def test_the_edges_of_the_calendar_are_days_too(shared: System, path: str, edge: str) -> None:
    days = {"from": edge, "to": edge, "tz": "Pacific/Kiritimati"}
    answer = await shared.http.get(f"{ANALYTICS}/{path}", params=days)
    assert answer.status_code == 200, answer.text
    assert answer.json()["window"]["period_start"] == edge


@pytest.mark.parametrize(
    ("path", "table", "query"),
    [
        (f"{ANALYTICS}/dashboard", lambda body: body["trends"]["daily_usage"], {}),
        (f"{ANALYTICS}/agents", lambda body: body["data"], {"limit": "3"}),
        (f"{ANALYTICS}/usage", lambda body: body["daily"], {"window": "7d"}),
        ("/api/v1/projects/{project_id}/analytics", lambda body: body["daily"], {}),
        (f"{COSTS}/usage", lambda body: body["groups"], {"group_by": "session"}),
        (f"{COSTS}/ledger", lambda body: body["data"], {"limit": "7"}),
    ],
)
async def test_every_table_is_there_as_csv(day: Day, path: str, table: Any, query: dict[str, str]) -> None:
    path = path.format(**day.ids)
    rows = table(await day.get(path, **query))
    answer = await day.system.http.get(path, params={**query, "format": "csv"}, headers=day.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].endswith('.csv"')
    header, *cells = csv.reader(io.StringIO(answer.text))
    assert set(header) == set(rows[0])
    assert len(cells) == len(rows) > 0
    for row, line in zip(rows, cells, strict=True):
        for name, cell in zip(header, line, strict=True):
            assert_same(row[name], cell)


def assert_same(value: object, cell: str) -> None:
    if isinstance(value, float | int) and not isinstance(value, bool):
        assert float(cell) == value
    else:
        assert cell == ("" if value is None else str(value))


async def test_no_cell_is_a_formula() -> None:
    figures = {"cost": Decimal("0.00000149"), "tokens": 1, "requests": 1, "failed": 0, "unknown": 0}
    groups = [GroupUsage(name=name, **figures) for name in ("=1+1", "@now", "plain")]
    table = bytes(to_table(GroupUsage, groups, "costs", ("name",)).body).decode()
    assert table.splitlines() == [
        "name,cost,tokens,requests,failed,unknown",
        *(f"{name},0.000001,1,1,0,0" for name in ("'=1+1", "'@now", "plain")),
    ]


async def test_costs_as_csv_are_those_of_agents_unless_another_table_is_asked_for(day: Day) -> None:
    by_agent = (await day.get(f"{COSTS}/usage"))["by_agent"]
    answer = await day.system.http.get(f"{COSTS}/usage", params={"format": "csv"}, headers=day.headers)
    assert [line.split(",")[0] for line in answer.text.splitlines()] == ["name", *(row["agent_id"] for row in by_agent)]


async def test_an_agent_reads_the_figures_of_its_tenant(day: Day, scripted_model: ScriptedModel) -> None:
    before = await day.get(f"{ANALYTICS}/agents", window="7d")
    arguments = {"window": "7d", "report": "agents"}
    calls = [{"name": "query_analytics", "arguments": arguments}]
    scripted_model.script({"wants": "query_analytics", "role": "user", "calls": calls})
    said = await day.system.say("How are we?", agent_id=AMY, headers=OF_ZETA)
    assert (said.json()["status"], said.json()["tools_used"]) == ("completed", ["query_analytics"]), said.text
    [told] = [m["content"] for m in scripted_model.requests()[-1]["messages"] if m["role"] == "tool"]
    rows = {row["agent_id"]: row for row in json.loads(told)["agents"]}
    [ava] = [row for row in before["data"] if row["agent_id"] == AVA]
    shown = rows[AVA]
    assert (shown["turns_failed"], shown["tokens"], shown["turns"]) == (
        ava["turns_failed"],
        ava["tokens"],
        ava["turns"],
    )
    assert set(rows) == {row["agent_id"] for row in before["data"]}


async def test_a_tenant_that_did_nothing_has_empty_figures(shared: System, day: Day) -> None:
    dashboard = (await shared.http.get(f"{ANALYTICS}/dashboard", params={"from": "2026-01-01"})).json()
    metrics = dashboard["metrics"]
    assert (metrics["total_conversations"], metrics["cost"], metrics["success_rate"]) == (0, 0, None)
    assert (metrics["user_satisfaction"], metrics["response_time_avg"], metrics["agents_used"]) == (None, None, 0)
    assert metrics["active_agents"] == (await day.get("/api/v1/agents", status="active"))["total"]

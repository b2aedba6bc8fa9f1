"""No two pages of the API show two totals for one thing: every pair of them is compared after a day of mixed work.

All work of the day is linked to one project, was done in the caller's tenant and today, so that all pages have the same
scope.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
import pytest_asyncio

from domain.tools.ports import ToolContext
from tests.analytics.day import Day

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYTICS = "/api/v1/analytics"
COSTS = "/api/v1/cost-management"
SAME_PLACE = ("cost", "tokens", "requests", "failed", "unknown", "reserved", "open_cost")


def total(key: str) -> Callable[[list[dict[str, Any]]], float]:
    """The sum of a column."""
    return lambda rows: round(sum(row[key] for row in rows), 6)


@dataclass
class Shown:
    """Every figure, by its name, and where it is shown."""

    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(self, place: str, **figures: float) -> None:
        for name, value in figures.items():
            self.figures.setdefault(name, {})[place] = value

    def add_rows(self, place: str, rows: list[dict[str, Any]], *names: str) -> None:
        self.add(place, **{name: total(name)(rows) for name in names})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(day: Day) -> Shown:
    shown = Shown()
    for add in (_costs, _analytics, _project, _runs, _tools, _counts):
        await add(day, shown)
    return shown


async def _costs(day: Day, shown: Shown) -> None:
    for group_by in ("session", "workflow", "key", "day"):
        usage = await day.get(f"{COSTS}/usage", group_by=group_by)
        shown.add_rows(f"costs by {group_by}", usage["groups"], *SAME_PLACE[:5])
    period = usage["current_period"]
    shown.add("costs", **{name: period[name] for name in SAME_PLACE if name in period})
    shown.add("costs", cost=period["total_cost"], tokens=period["total_tokens"])
    for table in ("by_agent", "by_model", "daily"):
        shown.add_rows(f"costs {table}", usage[table], *SAME_PLACE[:5])
    rows = (await day.get(f"{COSTS}/ledger", limit=1000))["data"]
    states = [row["state"] for row in rows]
    shown.add_rows("ledger", rows, "cost")
    shown.add("ledger", tokens=sum(row["total_tokens"] for row in rows), failed=states.count("failed"))
    shown.add("ledger", requests=states.count("settled") + states.count("cut"), unknown=states.count("unknown"))


async def _analytics(day: Day, shown: Shown) -> None:
    names = (*SAME_PLACE, "conversations", "turns", "executions", "swarms")
    for window in ("24h", "7d", "30d"):
        usage = await day.get(f"{ANALYTICS}/usage", window=window)
        shown.add(f"usage {window}", **{name: usage["totals"][name] for name in names})
        shown.add_rows(f"usage {window} daily", usage["daily"], *names)
        dashboard = await day.get(f"{ANALYTICS}/dashboard", window=window)
        metrics, trend = dashboard["metrics"], dashboard["trends"]["daily_usage"]
        shown.add_rows(f"trend {window}", trend, "cost", "conversations", "tokens")
        quality = ("success_rate", "turns_completed", "turns_failed", "ratings", "user_satisfaction", "active_agents")
        shown.add(f"dashboard {window}", **{name: metrics[name] for name in (*SAME_PLACE[:3], *quality)})
        shown.add(f"dashboard {window}", conversations=metrics["total_conversations"], used=metrics["agents_used"])
        agents = await day.get(f"{ANALYTICS}/agents", window=window)
        columns = (*SAME_PLACE[:3], "conversations", "turns", "turns_completed", "turns_failed", "ratings")
        shown.add_rows(f"agents {window}", agents["data"], *columns)
        shown.add(f"agents {window}", used=agents["total"])
        for row in agents["data"]:
            shown.add(f"agents {window}", **{f"success of {row['agent_id']}": row["success_rate"]})
            shown.add(f"agents {window}", **{f"p95 of {row['agent_id']}": row["response_time_p95"]})


async def _project(day: Day, shown: Shown) -> None:
    found = await day.get(f"/api/v1/projects/{day.ids['project_id']}/analytics")
    names = (*SAME_PLACE[:5], "conversations", "turns", "executions", "swarms")
    shown.add("project", **{name: found["totals"][name] for name in names})
    shown.add_rows("project daily", found["daily"], *names)
    shown.add("project budget", cost=found["budget"]["spent"], open_cost=found["budget"]["reserved"])


async def _runs(day: Day, shown: Shown) -> None:
    """The costs of all runs and conversations together are those of the ledger; each alone is as its own page says."""
    by_workflow = {group["name"]: group for group in (await day.get(f"{COSTS}/usage", group_by="workflow"))["groups"]}
    swarms = (await day.get("/api/v1/swarm", limit=1000))["data"]
    for swarm in swarms:
        status = await day.get(f"/api/v1/swarm/status/{swarm['task_id']}")
        for name in ("cost", "tokens"):
            figure = f"{name} of {swarm['task_id']}"
            shown.add("swarm list", **{figure: swarm[name]})
            shown.add("swarm status", **{figure: status[name]})
            shown.add("costs by workflow", **{figure: by_workflow[swarm["task_id"]][name]})
    shown.add("swarm list", swarms=len(swarms))
    path = f"/api/v1/workflows/{day.ids['workflow_id']}"
    executions = (await day.get(f"{path}/executions", limit=1000))["data"]
    for run in executions:
        status = await day.get(f"{path}/status", execution_id=run["execution_id"])
        figure = f"cost of {run['execution_id']}"
        shown.add("workflow status", **{figure: status["cost"]})
        shown.add("costs by workflow", **{figure: by_workflow[run["execution_id"]]["cost"]})
    shown.add("workflow executions", executions=len(executions))


async def _tools(day: Day, shown: Shown) -> None:
    """What agents are told, by their tools."""

    async def ask(name: str, **arguments: object) -> dict[str, Any]:
        tool = await day.system.parts.toolbox.tool(name)
        context = ToolContext("call_1", "ada", "key_zeta", "zeta~s", "chat-zeta~s", None)
        return dict(json.loads((await tool.call(arguments, context)).text))

    costs = (await ask("query_costs", period="month", group_by="agent"))["totals"]
    shown.add("query_costs", cost=float(costs["cost_usd"]), tokens=costs["tokens"], requests=costs["requests"])
    shown.add("query_costs", failed=costs["failed"], open_cost=float(costs["open_cost_usd"]))
    for window in ("24h", "7d", "30d"):
        found = await ask("query_analytics", window=window, report="overview")
        names = ("tokens", "requests", "conversations", "turns", "executions", "swarms", "turns_failed", "ratings")
        shown.add(f"query_analytics {window}", cost=float(found["cost_usd"]), **{name: found[name] for name in names})
        rows = (await ask("query_analytics", window=window, report="agents"))["agents"]
        shown.add_rows(f"query_analytics agents {window}", rows, "tokens", "conversations", "turns", "turns_completed")
        days = (await ask("query_analytics", window=window, report="days"))["days"]
        shown.add_rows(f"query_analytics days {window}", days, "tokens", "requests", "conversations", "swarms")
    [project] = (await ask("query_projects"))["projects"]
    shown.add("query_projects", cost=float(project["cost_usd"]), tokens=project["tokens"])
    shown.add("query_projects", conversations=project["conversations"])


async def _counts(day: Day, shown: Shown) -> None:
    agents = await day.get("/api/v1/agents", limit=1000)
    active = await day.get("/api/v1/agents", status="active")
    shown.add("agents", all_agents=agents["total"], active_agents=active["total"])
    for window in ("1h", "24h"):
        found = await day.get("/ecosystem/health", window=window)
        counts = found["ecosystem_health"]
        shown.add(f"ecosystem {window}", all_agents=counts["total_agents"], active_agents=counts["active_agents"])
        for row in found["agent_status"]:
            if row["measured"]:
                shown.add(f"ecosystem {window}", **{f"success of {row['agent_id']}": row["success_rate"]})
                shown.add(f"ecosystem {window}", **{f"p95 of {row['agent_id']}": row["response_time_p95"]})
        shown.add_rows(f"ecosystem {window}", found["agent_status"], "turns_completed", "turns_failed")
    today = str(datetime.now(UTC).date())
    failing = [
        each for each in (await day.get("/api/v1/agents/ali/insights"))["insights"] if each["kind"] == "failing_agent"
    ]
    assert failing, "an agent failed four times out of five"
    for insight in failing:
        agent_id = insight["subject"].removeprefix("agent:")
        share = round(1 - insight["evidence"]["value"], 6)
        shown.add(f"insights {today}", **{f"success of {agent_id}": share})


async def test_every_pair_of_pages_shows_the_same_figure(shown: Shown) -> None:
    compared = 0
    for name, places in shown.figures.items():
        assert len(places) > 1 or name in {"user_satisfaction", "success_rate"}, f"only one page shows {name}"
        for one, other in combinations(places, 2):
            assert places[one] == pytest.approx(places[other], abs=1e-6), f"{name}: {one} and {other}"
            compared += 1
    assert compared > 1_000
    assert len(shown.figures["cost"]) > 20


async def test_no_figure_is_zero_that_the_day_had_something_of(shown: Shown) -> None:
    names = ("cost", "tokens", "requests", "failed", "conversations", "turns", "executions", "swarms", "ratings")
    assert {
        name for name in names if not shown.figures[name]["usage 30d" if name != "ratings" else "agents 30d"]
    } == set()

"""After a day of use, each figure of each endpoint equals the one that plain Python computes from the raw events."""

from asyncio import to_thread
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from domain.ecosystem.policy import HealthRule
from tests.analytics.day import AVA, Day
from tests.analytics.facts import Facts, Span, always, on_day, read_facts

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANALYTICS = "/api/v1/analytics"
COSTS = "/api/v1/cost-management"
GROUP = ("cost", "tokens", "requests", "failed", "unknown")
TOTALS = (*GROUP, "reserved", "open_cost", "conversations", "turns", "executions", "swarms")
RULE = HealthRule()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def facts(day: Day) -> Facts:
    return await to_thread(read_facts, day.system.parts.ledger, "zeta")


def only(figures: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: figures[name] for name in names}


def close_to(figures: dict[str, Any]) -> dict[str, Any]:
    """The same figures; a mean may be rounded up or down where it lies between two microseconds."""
    is_mean = {name: isinstance(value, float) and name != "cost" for name, value in figures.items()}
    return {name: pytest.approx(v, rel=0, abs=1.1e-6) if is_mean[name] else v for name, v in figures.items()}


def after(moment: str) -> Span:
    since = datetime.fromisoformat(moment)
    return lambda at: at >= since


async def test_the_day_had_everything(facts: Facts) -> None:
    """Otherwise the comparisons below would be of zeros."""
    usage = facts.usage(always)
    assert min(usage[name] for name in ("cost", "requests", "failed", "conversations", "executions", "swarms")) > 0
    quality = facts.quality(always)
    assert (quality["ratings"], quality["user_satisfaction"]) == (3, 4.0)
    assert quality["turns_failed"] >= 5
    assert {call.state for call in facts.calls.values()} >= {"settled", "cut", "failed", "unknown"}
    outcomes = {turn.outcome for turn in facts.turns.values()}
    assert outcomes >= {"completed", "failed", "rejected", "cancelled", None}
    assert any(turn.was_held for turn in facts.turns.values())
    assert sorted(facts.approvals.values()) == ["approved", "pending", "pending", "rejected"]
    assert {end.status for end in facts.ends.values()} == {"completed", "failed"}


async def test_costs_are_those_of_the_events(day: Day, facts: Facts) -> None:
    found = await day.get(f"{COSTS}/usage", period="month", group_by="session")
    usage = facts.usage(always)
    period = found["current_period"]
    assert only(period, "requests", "reserved", "failed", "unknown", "open_cost") == only(
        usage, "requests", "reserved", "failed", "unknown", "open_cost"
    )
    assert (period["total_cost"], period["total_tokens"]) == (usage["cost"], usage["tokens"])
    names = {
        "by_agent": ("agent_id", lambda reserved: reserved.agent_id),
        "by_model": ("model", lambda reserved: reserved.model),
        "daily": ("date", lambda reserved: str(reserved.at.astimezone(UTC).date())),
        "groups": ("name", lambda reserved: reserved.session_id.removeprefix("zeta~")),
    }
    for table, (key, name) in names.items():
        wanted = {each: only(figures, *GROUP) for each, figures in facts.calls_by(always, name).items()}
        assert {row[key]: only(row, *GROUP) for row in found[table]} == wanted, table
    ledger = await day.get(f"{COSTS}/ledger", limit=1000)
    assert ledger["pagination"]["total"] == len(facts.calls)
    shown = {(row["call_id"], row["attempt"]): (row["state"], row["total_tokens"]) for row in ledger["data"]}
    assert shown == {key: (call.state, call.tokens) for key, call in facts.calls.items()}


@pytest.mark.parametrize("window", ["24h", "7d", "30d"])
@pytest.mark.parametrize("tz", ["UTC", "Asia/Kathmandu"])
async def test_analytics_are_those_of_the_events(day: Day, facts: Facts, window: str, tz: str) -> None:
    asked = {"window": window, "tz": tz}
    dashboard = await day.get(f"{ANALYTICS}/dashboard", **asked)
    agents = await day.get(f"{ANALYTICS}/agents", **asked)
    usage = await day.get(f"{ANALYTICS}/usage", **asked)
    wanted, by_agent = facts.usage(always), facts.agents(always)
    assert only(usage["totals"], *TOTALS) == only(wanted, *TOTALS)
    assert [row["agent_id"] for row in agents["data"]] == sorted(by_agent)
    for row in agents["data"]:
        assert row == close_to(by_agent[row["agent_id"]])
    metrics = {
        **facts.quality(always),
        **only(wanted, "cost", "tokens", "requests"),
        "total_conversations": wanted["conversations"],
        "active_agents": sum(facts.deployed.values()),
        "agents_used": len(by_agent),
    }
    assert dashboard["metrics"] == close_to(metrics)
    days = usage["daily"]
    trend = dashboard["trends"]["daily_usage"]
    assert [row["date"] for row in trend] == [row["date"] for row in days]
    assert len(days) == {"24h": 2, "7d": 7, "30d": 30}[window]
    for row, point in zip(days, trend, strict=True):
        span = on_day(datetime.fromisoformat(row["date"]).date(), tz)
        assert only(row, *TOTALS) == only(facts.usage(span), *TOTALS)
        assert only(row, "conversations", "cost", "tokens") == only(point, "conversations", "cost", "tokens")


async def test_a_project_has_what_was_linked_to_it(day: Day, facts: Facts) -> None:
    project = day.ids["project_id"]
    found = await day.get(f"/api/v1/projects/{project}/analytics")
    wanted = facts.usage(always, project_id=project)
    names = [name for name in TOTALS if name in found["totals"]]
    assert len(names) > 8
    assert only(found["totals"], *names) == only(wanted, *names)
    assert (found["budget"]["spent"], found["budget"]["reserved"]) == (wanted["cost"], wanted["open_cost"])
    today = found["daily"][-1]
    span = on_day(datetime.fromisoformat(today["date"]).date())
    assert only(today, *names) == only(facts.usage(span, project_id=project), *names)


@pytest.mark.parametrize("window", ["15m", "1h", "24h"])
async def test_health_is_that_of_the_events(day: Day, facts: Facts, window: str) -> None:
    found = await day.get("/ecosystem/health", window=window)
    span = after(found["window"]["since"])
    shown = {row["agent_id"]: row for row in found["agent_status"]}
    assert set(shown) == set(facts.deployed)
    for agent_id, row in shown.items():
        quality = facts.quality(span, agent_id)
        names = ("success_rate", "turns_completed", "turns_failed", "response_time_p95")
        assert only(row, *names) == close_to(only(quality, *names))
        assert row["last_response_time"] == facts.newest_response_time(span, agent_id)
        assert row["status"] == status(quality), agent_id
        assert row["measured"] is (quality["success_rate"] is not None)
        one = await day.get(f"/ecosystem/agents/{agent_id}/health", window=window)
        assert {name: value for name, value in one.items() if name not in {"window", "rule"}} == row
    statuses = [row["status"] for row in shown.values()]
    assert found["ecosystem_health"] == {
        "total_agents": len(statuses),
        "active_agents": sum(facts.deployed.values()),
        "inactive_agents": 0,
        "measured_agents": sum(row["measured"] for row in shown.values()),
        **{f"{name}_agents": statuses.count(name) for name in ("healthy", "degraded", "failed")},
    }
    assert shown[AVA]["status"] == "failed"


def status(quality: dict[str, Any]) -> str:
    """The rule once more. No model fails five times in a row on this day."""
    ended = quality["turns_completed"] + quality["turns_failed"]
    if ended >= RULE.least_turns and quality["success_rate"] < RULE.failed_below:
        return "failed"
    is_slow = quality["turns_completed"] >= RULE.least_turns and quality["response_time_p95"] > RULE.slow_above_s
    return "degraded" if is_slow or (ended and quality["success_rate"] < RULE.degraded_below) else "healthy"


async def test_approvals_are_counted_as_the_events_say(day: Day, facts: Facts) -> None:
    pending = await day.get("/api/v1/approvals/pending")
    waiting = [name for name, state in facts.approvals.items() if state in {"pending", "escalated"}]
    assert pending["total"] == len(waiting) == 2
    assert {each["id"] for each in pending["pending_approvals"]} == set(waiting)
    for state in ("approved", "rejected", "pending"):
        listed = await day.get("/api/v1/approvals", status=state)
        assert listed["pagination"]["total"] == list(facts.approvals.values()).count(state)


async def test_runs_cost_what_their_calls_cost(day: Day, facts: Facts) -> None:
    calls = facts.calls_by(always, lambda reserved: reserved.workflow_id)
    swarm = await day.get(f"/api/v1/swarm/status/{day.ids['task_id']}")
    assert only(swarm, "cost", "tokens") == only(calls[day.ids["task_id"]], "cost", "tokens")
    path = f"/api/v1/workflows/{day.ids['workflow_id']}/status"
    run = await day.get(path, execution_id=day.ids["execution_id"])
    assert run["cost"] == calls[day.ids["execution_id"]]["cost"] > 0
    listed = await day.get("/api/v1/workflows", limit=1000)
    [workflow] = [each for each in listed["workflows"] if each["id"] == day.ids["workflow_id"]]
    ends = [end.status for name, end in facts.ends.items() if facts.executions[name].workflow_id == workflow["id"]]
    assert workflow["success_rate"] == ends.count("completed") / len(ends) == 0.5


async def test_a_day_in_the_past_has_nothing(day: Day) -> None:
    past = str((datetime.now(UTC) - timedelta(days=9)).date())
    found = await day.get(f"{ANALYTICS}/usage", **{"from": past, "to": past})
    assert only(found["totals"], *TOTALS) == dict.fromkeys(TOTALS, 0)
    assert (await day.get(f"{ANALYTICS}/agents", **{"from": past, "to": past}))["data"] == []

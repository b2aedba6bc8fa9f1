"""Limits over HTTP, and work that reaches one: it fails, or waits for a person and goes on where it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
import pytest_asyncio

from domain.costs.limits.events import AllowanceGranted
from domain.costs.ports import CallFilter
from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.swarm.talk import coordinate, over, status
from tests.system import ADMIN_KEY, AGENT, OF_ACME, OF_ZETA, System, running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMITS = "/api/v1/cost-management/limits"
APPROVALS = "/api/v1/approvals"
WORKFLOWS = "/api/v1/workflows"
OPERATOR = {"X-API-Key": ADMIN_KEY}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def limited(priced_settings: Settings) -> AsyncIterator[System]:
    async with running(priced_settings) as system:
        yield system


async def put(system: System, *limits: dict[str, Any], headers: dict[str, str] = OPERATOR) -> httpx.Response:
    return await system.http.put(LIMITS, json={"limits": list(limits)}, headers=headers)


async def limit(
    system: System, scope: str, usd: float | str | None, window: str = "month", **more: Any
) -> dict[str, Any]:
    answer = await put(system, {"scope": scope, "window": window, "limit_usd": usd, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"][0]) if usd is not None else {}


async def listed(system: System, headers: dict[str, str] = OPERATOR, **asked: Any) -> dict[str, dict[str, Any]]:
    answer = await system.http.get(LIMITS, headers=headers, params=asked)
    assert answer.status_code == 200, answer.text
    return {found["scope"]: found for found in answer.json()["data"]}


async def say(system: System, project: str, message: str = "Go on.", session_id: str | None = None) -> httpx.Response:
    context = {"project_id": project, **({"session_id": session_id} if session_id else {})}
    return await system.http.post(
        "/api/v1/agents/chat", json={"agent_id": AGENT, "message": message, "context": context}, headers=OPERATOR
    )


async def decide(system: System, approval_id: str, verb: str, **body: Any) -> httpx.Response:
    return await system.decide(approval_id, verb, headers=OPERATOR, **body)


async def approval(system: System, approval_id: str) -> dict[str, Any]:
    return dict((await system.http.get(f"{APPROVALS}/{approval_id}", headers=OPERATOR)).json())


async def pending(system: System, run_id: str) -> list[dict[str, Any]]:
    found = (await system.http.get(f"{APPROVALS}/pending", headers=OPERATOR)).json()["pending_approvals"]
    return [each for each in found if each["workflow_id"] == run_id]


async def asked_for(system: System, run_id: str) -> dict[str, Any]:
    """The one approval that a run waits for."""
    [found] = await until(lambda: pending(system, run_id), bool, seconds=20)
    return found


async def test_a_limit_is_set_listed_changed_and_removed(limited: System) -> None:
    answer = await put(limited, {"scope": "agent:nobody", "window": "week", "limit_usd": "12.5", "on_breach": "ask"})
    assert answer.status_code == 200, answer.text
    [made] = answer.json()["data"]
    assert answer.headers["etag"] == '"1"'
    start, end = made.pop("window_start"), made.pop("window_end")
    assert start < made.pop("set_at") < end
    assert made == {
        "scope": "agent:nobody",
        "window": "week",
        "limit_usd": 12.5,
        "on_breach": "ask",
        "spent": 0,
        "reserved": 0,
        "unknown": 0,
        "remaining": 12.5,
        "granted": 0,
        "state": "ok",
        "time_zone": "UTC",
        "version": 1,
        "set_by": made["set_by"],
    }
    assert (await listed(limited))["agent:nobody"]["limit_usd"] == 12.5
    stale = await put(
        limited, {"scope": "agent:nobody", "window": "week", "limit_usd": 1}, headers=OPERATOR | {"if-match": '"7"'}
    )
    assert (stale.status_code, stale.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    changed = await put(
        limited, {"scope": "agent:nobody", "window": "week", "limit_usd": 0}, headers=OPERATOR | {"if-match": '"1"'}
    )
    [made] = changed.json()["data"]
    assert (made["version"], made["state"], made["on_breach"]) == (2, "reached", "fail")
    assert (await limit(limited, "agent:nobody", None, "week")) == {}
    assert "agent:nobody" not in await listed(limited)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": "run"},
        {"window": "year"},
        {"scope": "team:a"},
        {"scope": "agent:"},
        {"scope": "agent:a\x00b"},
        {"scope": "agent:\ud800"},
        {"scope": "agent:" + "a" * 300},
        {"scope": "tenant:Not An Id"},
        {"limit_usd": -1},
        {"limit_usd": 10**400},
        {"limit_usd": "0.0000001"},
        {"limit_usd": "much"},
        {"on_breach": "wait"},
        {"more": 1},
    ],
    ids=str,
)
async def test_what_is_no_limit_is_refused_by_name(limited: System, wrong: dict[str, Any]) -> None:
    body = {"scope": "agent:a", "window": "day", "limit_usd": 1, **wrong}
    answer = await limited.http.put(
        LIMITS, content=_json({"limits": [body]}), headers={"content-type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    if answer.status_code == 422:
        assert answer.json()["error"]["details"]["errors"]


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


async def test_a_limit_is_named_once_and_an_amount_is_not_forgotten(limited: System) -> None:
    one = {"scope": "agent:a", "window": "day", "limit_usd": 1}
    assert (await put(limited, one, one)).status_code == 422
    assert (await put(limited)).status_code == 422
    assert (await put(limited, {"scope": "agent:a", "window": "day"})).status_code == 422


async def test_who_may_set_which_limit(limited: System) -> None:
    def key(*scopes: str) -> Any:
        return limited.http.post("/api/v1/keys", json={"name": "k", "scopes": list(scopes)}, headers=OPERATOR)

    own = {"scope": "agent:a", "window": "day", "limit_usd": 5}
    writer = {"X-API-Key": (await key("read", "write")).json()["key"]}
    approver = {"X-API-Key": (await key("read", "approve")).json()["key"]}
    assert (await put(limited, own, headers=writer)).status_code == 403
    assert (await put(limited, own, headers=approver)).status_code == 200
    for scope in ("global", "tenant:acme", "tenant:default"):
        refused = await put(limited, {**own, "scope": scope}, headers=approver)
        assert (refused.status_code, refused.json()["error"]["details"]["scope"]) == (403, "admin")
        assert (await put(limited, {**own, "scope": scope, "limit_usd": 1000})).status_code == 200
    assert {"global", "tenant:acme", "tenant:default", "agent:a"} <= (await listed(limited)).keys()
    shown = await listed(limited, approver)
    assert {"tenant:default", "agent:a"} <= shown.keys()
    assert not {"global", "tenant:acme"} & shown.keys()


async def test_tenants_limits_of_the_same_name_are_apart(limited: System) -> None:
    assert (
        await put(limited, {"scope": "agent:twin", "window": "day", "limit_usd": 1}, headers=OF_ACME)
    ).status_code == 200
    assert "agent:twin" not in await listed(limited, OF_ZETA)
    assert "agent:twin" not in await listed(limited)
    assert (
        await put(limited, {"scope": "agent:twin", "window": "day", "limit_usd": 2}, headers=OF_ZETA)
    ).status_code == 200
    assert (await listed(limited, OF_ACME))["agent:twin"]["limit_usd"] == 1


async def test_pages_of_limits_are_in_a_stable_order(limited: System) -> None:
    for name in "ab":
        await limit(limited, f"agent:page-{name}", 1)
    names = [scope for skip in range(2) for scope in await listed(limited, OF_ACME, skip=skip, limit=1)]
    everything = list(await listed(limited, OF_ACME))
    assert names == everything[:2]


async def test_a_chat_over_its_limit_fails_and_nothing_is_called(
    limited: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    await limit(limited, "project:fails", "0.000001")
    answer = await say(limited, "fails")
    assert answer.status_code == 429, answer.text
    error = answer.json()["error"]
    assert error["code"] == "BUDGET_EXCEEDED"
    details = error["details"]
    assert (details["scope"], details["window"], details["reason"]) == ("project:fails", "month", "exceeded")
    assert (details["limit_usd"], details["spent_usd"], details["reserved_usd"]) == ("0.000001", "0", "0")
    assert Decimal(details["asked_usd"]) > 0
    assert scripted_model.bill() == []
    session = await limited.settled(details["session_id"])
    assert [(turn["status"], turn["error"]["code"]) for turn in session["turns"]] == [("failed", "BUDGET_EXCEEDED")]


async def test_what_the_limit_shows_is_what_the_ledger_shows(limited: System, scripted_model: ScriptedModel) -> None:
    scripted_model.reset()
    made = (await say(limited, "counted")).json()
    shown = await limit(limited, "project:counted", 1)
    assert shown["spent"] == pytest.approx(made["usage"]["cost"], abs=1e-6)
    assert shown["remaining"] == pytest.approx(1 - shown["spent"], abs=2e-6)
    [call] = await limited.calls(session_id=made["session_id"])
    assert (shown["spent"], shown["reserved"], shown["unknown"]) == (call["cost"], 0, 0)


async def test_a_chat_that_asks_waits_for_a_person_and_goes_on_with_what_they_allow(
    limited: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    await limit(limited, "project:asks", 0, on_breach="ask")
    answer = await say(limited, "asks", "May I spend?")
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["status"], body["response"]) == ("awaiting_approval", None)
    session = await until(lambda: limited.session(body["session_id"]), lambda it: it["status"] == "awaiting_approval")
    assert [turn["status"] for turn in session["turns"]] == ["awaiting_approval"]
    asked = await approval(limited, body["approval_id"])
    assert (asked["type"], asked["workflow_id"]) == ("budget", body["workflow_id"])
    assert body["workflow_id"] in asked["title"]
    assert asked["content"] == asked["payload"]["asked_usd"]
    assert {name: asked["payload"][name] for name in ("scope", "window", "limit_usd", "spent_usd", "run_id")} == {
        "scope": "project:asks",
        "window": "month",
        "limit_usd": "0",
        "spent_usd": "0",
        "run_id": body["workflow_id"],
    }
    assert scripted_model.bill() == []
    for wrong in ("much", "-1", "0", "1e9", '"1"'):
        refused = await decide(limited, body["approval_id"], "approve", edited_content=wrong)
        assert refused.status_code == 422, wrong
    assert (await decide(limited, body["approval_id"], "approve", edited_content="0.10")).status_code == 200
    session = await until(
        lambda: limited.session(body["session_id"]), lambda it: it["turns"][0]["status"] == "completed"
    )
    assert session["turns"][0]["response"]
    assert len(scripted_model.bill()) == 1
    again = await say(limited, "asks", "And now?", body["session_id"])
    assert (again.status_code, again.json()["status"]) == (200, "completed"), again.text
    told = [message["content"] for message in scripted_model.requests()[-1]["messages"]]
    assert told[1] == "May I spend?"
    shown = (await listed(limited))["project:asks"]
    assert (shown["granted"], shown["remaining"], shown["state"]) == (0.1, 0, "reached")
    assert 0 < shown["spent"] <= 0.1
    other = await say(limited, "asks", "Another run.")
    assert other.status_code == 202, "an allowance is one run's own"


async def test_a_chat_that_is_not_allowed_to_spend_more_fails(limited: System, scripted_model: ScriptedModel) -> None:
    scripted_model.reset()
    await limit(limited, "project:refused", 0, on_breach="ask")
    body = (await say(limited, "refused")).json()
    assert (await decide(limited, body["approval_id"], "reject", reason="No.")).status_code == 200
    session = await limited.settled(body["session_id"])
    session = await until(lambda: limited.session(body["session_id"]), lambda it: it["turns"][0]["status"] == "failed")
    error = session["turns"][0]["error"]
    assert error["code"] == "BUDGET_EXCEEDED"
    assert "a person rejected it" in error["message"]
    assert scripted_model.bill() == []
    await limit(limited, "project:refused", None)
    assert (await say(limited, "refused", "Once more.", body["session_id"])).status_code == 200


async def test_members_of_a_swarm_wait_for_one_approval_and_end_inside_the_allowance(
    limited: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    await limit(limited, "project:swarm", 0, on_breach="ask")
    task_id = (await coordinate(limited, "parallel", context={"project_id": "swarm"}, headers=OPERATOR))["task_id"]
    asked = await asked_for(limited, task_id)
    await until(lambda: status(limited, task_id), lambda it: it["status"] == "awaiting_approval")
    await asyncio.sleep(1)
    assert len(await pending(limited, task_id)) == 1
    await decide(limited, asked["id"], "approve", edited_content="0.10")
    swarm = await over(limited, task_id)
    assert swarm["status"] == "completed", swarm
    assert 0 < swarm["cost"] <= 0.1
    granted = limited.parts.ledger.read(f"allowance:{task_id}")
    assert [event.amount_usd for event in granted if isinstance(event, AllowanceGranted)] == [Decimal("0.10")]


async def test_a_swarm_that_is_not_allowed_to_spend_more_exceeds_its_budget(limited: System) -> None:
    await limit(limited, "project:swarm-refused", 0, on_breach="ask")
    context = {"project_id": "swarm-refused"}
    task_id = (await coordinate(limited, "parallel", context=context, headers=OPERATOR))["task_id"]
    await decide(limited, (await asked_for(limited, task_id))["id"], "reject", reason="No.")
    assert (await over(limited, task_id))["status"] == "budget_exceeded"
    assert await pending(limited, task_id) == []


async def test_an_execution_waits_at_the_node_that_a_limit_stops_and_its_swarm_counts_in_it(
    limited: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.reset()
    nodes = [
        {"id": "first", "type": "agent", "agent": AGENT, "prompt": "One."},
        {"id": "team", "type": "swarm", "agents": ["amy_cfo"], "mode": "parallel", "task": "Two."},
    ]
    drawn = {"name": "Limited", "nodes": nodes, "edges": [{"from": "first", "to": "team"}]}
    made = await limited.http.post(WORKFLOWS, json=drawn, headers=OPERATOR)
    assert made.status_code == 201, made.text
    workflow_id = made.json()["id"]
    await limit(limited, "project:graph", 0, on_breach="ask")
    body = {"input": {"request": "x"}, "context": {"project_id": "graph"}}
    ran = await limited.http.post(f"{WORKFLOWS}/{workflow_id}/execute", json=body, headers=OPERATOR)
    run_id = ran.json()["execution_id"]

    async def shown() -> dict[str, Any]:
        path = f"{WORKFLOWS}/{workflow_id}/status"
        return dict((await limited.http.get(path, params={"execution_id": run_id}, headers=OPERATOR)).json())

    asked = await asked_for(limited, run_id)
    await until(shown, lambda it: it["status"] == "awaiting_approval")
    assert (await decide(limited, asked["id"], "approve", edited_content="0.10")).status_code == 200

    async def of_the_swarm() -> list[dict[str, Any]]:
        found = (await limited.http.get(f"{APPROVALS}/pending", headers=OPERATOR)).json()["pending_approvals"]
        return [each for each in found if each["workflow_id"].startswith("task_") and "project:graph" in each["title"]]

    [team] = await until(of_the_swarm, bool, seconds=30)
    await decide(limited, team["id"], "approve", edited_content="0.10")
    run = await until(shown, lambda it: it["status"] in {"completed", "failed"}, seconds=30)
    assert run["status"] == "completed", run
    whole = await limit(limited, f"workflow:{run_id}", 1, "run")
    assert await limited.calls(workflow_id=run_id), "the view has caught up"
    booked = [
        call.cost
        for each in (run_id, team["workflow_id"])
        for call in limited.parts.costs.calls(CallFilter("default", workflow_id=each), skip=0, limit=100).calls
    ]
    assert len(booked) >= 2
    assert whole["spent"] == float(round(sum(booked, Decimal(0)), 6))
    assert (whole["window_start"], whole["window_end"]) == (None, None)


ALERTS = "/api/v1/cost-management/alerts"
FORECAST = "/api/v1/cost-management/forecast"


async def test_an_alert_is_created_shown_and_deleted(limited: System) -> None:
    await limit(limited, "agent:watched", 8)
    body = {"scope": "agent:watched", "threshold_pct": 75}
    made = await limited.http.post(ALERTS, json=body, headers=OPERATOR)
    assert made.status_code == 201, made.text
    alert = made.json()
    assert made.headers["location"] == f"{ALERTS}/{alert['id']}"
    assert made.headers["etag"] == '"1"'
    assert {
        name: alert[name] for name in ("scope", "window", "measure", "threshold", "value", "state", "forecast")
    } == {
        "scope": "agent:watched",
        "window": "month",
        "measure": "spent",
        "threshold": 6,
        "value": 0,
        "state": "waiting",
        "forecast": None,
    }
    assert (await limited.http.get(made.headers["location"], headers=OPERATOR)).json() == alert
    assert alert in (await limited.http.get(ALERTS, headers=OPERATOR)).json()["data"]
    assert (await limited.http.get(made.headers["location"], headers=OF_ACME)).status_code == 404
    assert (await limited.http.delete(made.headers["location"], headers=OF_ACME)).status_code == 404
    gone = await limited.http.delete(made.headers["location"], headers=OPERATOR)
    assert (gone.status_code, gone.json()) == (200, {"id": alert["id"], "status": "deleted"})
    assert (await limited.http.get(made.headers["location"], headers=OPERATOR)).status_code == 404


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold_usd": 1},
        {"threshold_pct": None},
        {"threshold_pct": 0},
        {"webhook_url": "https://example.com/hook"},
        {"window": "run"},
        {"measure": "guess"},
        {"more": 1},
    ],
    ids=str,
)
async def test_what_is_no_alert_is_refused(limited: System, wrong: dict[str, Any]) -> None:
    body = {"scope": "agent:a", "threshold_pct": 50, **wrong}
    assert (await limited.http.post(ALERTS, json=body, headers=OPERATOR)).status_code == 422


async def test_a_forecast_is_of_the_callers_tenant_unless_an_operator_asks(limited: System) -> None:
    own = (await limited.http.get(FORECAST, headers=OF_ACME)).json()
    assert (own["scope"], own["window"], own["forecast"]) == ("tenant:acme", "month", None)
    shown = await limited.http.get(FORECAST, params={"scope": "global", "window": "week"}, headers=OPERATOR)
    assert (shown.status_code, shown.json()["scope"]) == (200, "global")
    key = (await limited.http.post("/api/v1/keys", json={"name": "k", "scopes": ["read"]}, headers=OPERATOR)).json()
    for scope, status_code in (("global", 403), ("tenant:acme", 403), ("tenant:default", 200), ("agent:a", 200)):
        asked = await limited.http.get(FORECAST, params={"scope": scope}, headers={"X-API-Key": key["key"]})
        assert asked.status_code == status_code, asked.text
    assert (await limited.http.get(FORECAST, params={"scope": "tenant:Bad One"}, headers=OPERATOR)).status_code == 422

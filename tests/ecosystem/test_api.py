"""The health of agents over HTTP, on the whole system with a scripted provider."""

from typing import Any
from uuid import uuid4

import pytest

from domain.ecosystem.policy import HealthRule
from tests.scripted_model import ScriptedModel
from tests.system import OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTH = "/ecosystem/health"
FAILING = {"contains": "Spoil it", "status": 400, "times": None}


async def health(system: System, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = await system.http.get(HEALTH, headers=headers, params={"limit": 1000, **query})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def one(system: System, headers: dict[str, str], agent_id: str, **query: Any) -> dict[str, Any]:
    answer = await system.http.get(f"/ecosystem/agents/{agent_id}/health", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_agents_that_did_nothing_are_healthy_and_not_measured(shared: System) -> None:
    found = await health(shared, OF_ZETA)
    counts = found["ecosystem_health"]
    assert counts["total_agents"] == counts["active_agents"] == counts["healthy_agents"] == 48 == found["total"]
    assert (counts["degraded_agents"], counts["failed_agents"], counts["measured_agents"]) == (0, 0, 0)
    drawn = {"agent_id", "status", "last_response_time", "success_rate"}
    assert all(set(row) >= drawn for row in found["agent_status"])
    row = await one(shared, OF_ZETA, "amy_cfo")
    assert (row["status"], row["measured"], row["success_rate"]) == ("healthy", False, None)
    assert [reason["code"] for reason in row["reasons"]] == ["NO_TURNS"]
    assert row["rule"]["failed_below"] == HealthRule().failed_below
    assert row["window"]["name"] == "1h"


async def test_failures_make_an_agent_degraded_and_then_failed_and_its_model_too(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(FAILING)
    assert (await shared.say("Hello.", agent_id="amy_cfo", headers=OF_ACME)).status_code == 200
    row = await one(shared, OF_ACME, "amy_cfo")
    assert (row["status"], row["success_rate"], row["reasons"], row["measured"]) == ("healthy", 1.0, [], True)
    assert row["last_response_time"] == row["response_time_p95"] > 0
    for number in range(1, 6):
        said = await shared.say("Spoil it.", f"spoilt-{uuid4().hex}", agent_id="amy_cfo", headers=OF_ACME)
        assert said.status_code == 502, said.text
        row = await one(shared, OF_ACME, "amy_cfo")
        assert row["status"] == ("degraded" if number < 2 else "failed")
        assert row["success_rate"] == pytest.approx(1 / (1 + number), abs=1e-6)
    assert {reason["code"] for reason in row["reasons"]} == {"LOW_SUCCESS_RATE", "MODEL_FAILING"}
    found = await health(shared, OF_ACME)
    shown = {each["agent_id"]: each for each in found["agent_status"]}
    idle = shown["omri_data_scientist"]
    assert idle["model"] == shown["amy_cfo"]["model"] == "scripted"
    assert (idle["status"], [reason["code"] for reason in idle["reasons"]]) == (
        "degraded",
        ["MODEL_FAILING", "NO_TURNS"],
    )
    counts = found["ecosystem_health"]
    assert (counts["failed_agents"], counts["degraded_agents"], counts["healthy_agents"]) == (1, 47, 0)
    assert (await shared.say("Hello.", agent_id="amy_cfo", headers=OF_ACME)).status_code == 200
    assert (await health(shared, OF_ACME))["ecosystem_health"]["healthy_agents"] == 47
    assert (await one(shared, OF_ZETA, "amy_cfo"))["measured"] is False, "another tenant's turns are no business of it"


async def test_an_agent_that_is_not_deployed_is_inactive(shared: System) -> None:
    body = {"name": f"Agent {uuid4().hex[:8]}", "description": "Rests.", "system_prompt": "Rest."}
    made = await shared.http.post("/api/v1/agent-management/create", json=body)
    row = await one(shared, {}, made.json()["id"])
    assert (row["status"], [reason["code"] for reason in row["reasons"]]) == ("inactive", ["NOT_DEPLOYED"])
    counts = (await health(shared, {}))["ecosystem_health"]
    assert (counts["total_agents"], counts["active_agents"], counts["inactive_agents"]) == (49, 48, 1)


async def test_the_list_comes_in_pages_and_counts_all(shared: System) -> None:
    whole = await health(shared, OF_ZETA)
    page = await health(shared, OF_ZETA, skip=40, limit=5)
    assert [row["agent_id"] for row in page["agent_status"]] == [
        row["agent_id"] for row in whole["agent_status"][40:45]
    ]
    assert page["ecosystem_health"] == whole["ecosystem_health"]
    assert (page["total"], page["pagination"]["has_next"]) == (48, True)


@pytest.mark.parametrize("path", [HEALTH, "/ecosystem/agents/amy_cfo/health"])
async def test_an_unknown_window_is_refused(shared: System, path: str) -> None:
    answer = await shared.http.get(path, params={"window": "1y"})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["field"] == "window"


async def test_an_unknown_agent_is_not_found(shared: System) -> None:
    answer = await shared.http.get("/ecosystem/agents/nobody/health")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")

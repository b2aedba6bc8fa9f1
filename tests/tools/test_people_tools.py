"""The tools that read talents and projects, in a turn of an agent."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.scripted_model import ScriptedModel
from tests.system import OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

MANAGED = "/api/v1/agent-management"


async def created(system: System, path: str, headers: dict[str, str], **body: Any) -> int:
    answer = await system.http.post(f"/api/v1/{path}", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def an_agent(system: System, headers: dict[str, str]) -> str:
    """An agent that has both tools."""
    body = {"name": f"Agent {uuid4().hex[:8]}", "description": "Finds.", "system_prompt": "Find."}
    tools = ["find_talents", "query_projects"]
    made = await system.http.post(f"{MANAGED}/create", json={**body, "tools": tools}, headers=headers)
    agent_id = str(made.json()["id"])
    assert (await system.http.post(f"{MANAGED}/{agent_id}/deploy", json={}, headers=headers)).status_code == 200
    return agent_id


async def result(
    system: System, model: ScriptedModel, headers: dict[str, str], name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The result of a tool that the model of an agent of this tenant gets."""
    model.reset()
    agent_id = await an_agent(system, headers)
    model.script({"wants": name, "role": "user", "calls": [{"name": name, "arguments": arguments}]})
    said = await system.say("Find.", agent_id=agent_id, headers=headers)
    assert said.json()["status"] == "completed", said.text
    assert said.json()["tools_used"] == [name]
    [told] = [message["content"] for message in model.requests()[-1]["messages"] if message["role"] == "tool"]
    return dict(json.loads(told))


async def test_an_agent_finds_talents_of_its_tenant_with_reasons(shared: System, scripted_model: ScriptedModel) -> None:
    email = f"{uuid4().hex}@example.com"
    ada = await created(shared, "talents", OF_ACME, name="Ada", email=email, skills=["SQL", "Go"], bio="Payments.")
    bob = await created(shared, "talents", OF_ACME, name="Bob", email=f"b{email}", skills=["go"], department="Ops")
    await created(shared, "talents", OF_ACME, name="Old", email=f"o{email}", skills=["Go"], status="inactive")
    await created(shared, "talents", OF_ZETA, name="Eve", email=email, skills=["SQL", "Go"], bio="Payments.")
    wanted = {"skills": ["sql", "Go"], "text": "payments"}
    found = await result(shared, scripted_model, OF_ACME, "find_talents", wanted)
    assert [(each["talent_id"], each["name"], each["score"]) for each in found["talents"]] == [
        (ada, "Ada", 1.0),
        (bob, "Bob", 0.35),
    ]
    assert found["talents"][0]["matched_words"] == ["payments"]
    assert found["talents"][1]["missing_skills"] == ["sql"]
    assert email not in json.dumps(found)
    listed = await result(shared, scripted_model, OF_ACME, "find_talents", {"department": "ops"})
    assert ([each["name"] for each in listed["talents"]], listed["total"]) == (["Bob"], 1)


async def test_an_agent_reads_projects_of_its_tenant_with_their_costs(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mark = uuid4().hex[:8]
    project = await created(shared, "projects", OF_ZETA, name=f"Moon {mark}", status="active", budget_usd=2.5)
    await created(shared, "projects", OF_ACME, name=f"Mars {mark}", status="active")
    await shared.say("Hello.", context={"project_id": project}, headers=OF_ZETA)
    wanted = {"text": mark.upper(), "status": "active"}
    found = await result(shared, scripted_model, OF_ZETA, "query_projects", wanted)
    [told] = found["projects"]
    assert (told["project_id"], told["name"], told["budget_usd"]) == (project, f"Moon {mark}", "2.5")
    assert (told["conversations"], told["runs"]) == (1, 0)
    assert told["tokens"] > 0
    assert (await result(shared, scripted_model, OF_ZETA, "query_projects", {"status": "completed"}))["total"] == 0

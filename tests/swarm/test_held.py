"""Swarms that wait for people: a result that has to be let go, and members whose answers have to be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.scripted_model import ScriptedModel
from tests.swarm.talk import AMY, ANTONIO, SWARM, coordinate, done, handing, over, said, status
from tests.system import System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPROVALS = "/api/v1/approvals"


async def held(system: System, task_id: str) -> dict[str, Any]:
    return await until(lambda: status(system, task_id), lambda it: it["status"] == "awaiting_approval", seconds=20)


async def decide(system: System, approval_id: str, verb: str, **body: Any) -> None:
    response = await system.decide(approval_id, verb, **body)
    assert response.status_code == 200, response.text


async def approval(system: System, approval_id: str) -> dict[str, Any]:
    response = await system.http.get(f"{APPROVALS}/{approval_id}")
    assert response.status_code == 200, response.text
    return dict(response.json())


async def a_held_swarm(system: System, model: ScriptedModel, **more: Any) -> dict[str, Any]:
    model.script(said("Make one result of it", "All in one."))
    begun = await coordinate(system, require_approval=True, **more)
    return await held(system, begun["task_id"])


async def test_a_result_is_given_out_once_a_person_has_let_it_go(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await a_held_swarm(shared, scripted_model)
    assert (waiting["result"], waiting["progress"]) == (None, 0.99)
    asked = await approval(shared, waiting["approval_id"])
    assert (asked["type"], asked["content"], asked["workflow_id"]) == (
        "swarm_result",
        "All in one.",
        waiting["task_id"],
    )
    await decide(shared, waiting["approval_id"], "approve")
    swarm = await over(shared, waiting["task_id"])
    assert (swarm["status"], swarm["result"], swarm["partial"]) == ("completed", "All in one.", False)


async def test_what_a_person_makes_of_it_is_the_result(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await a_held_swarm(shared, scripted_model)
    await decide(shared, waiting["approval_id"], "approve", edited_content="All in one, and shorter.")
    swarm = await over(shared, waiting["task_id"])
    assert (swarm["status"], swarm["result"]) == ("completed", "All in one, and shorter.")


async def test_a_result_that_is_rejected_is_not_given_out(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await a_held_swarm(shared, scripted_model)
    await decide(shared, waiting["approval_id"], "reject", reason="Not like this.")
    swarm = await over(shared, waiting["task_id"])
    assert (swarm["status"], swarm["result"], swarm["partial"]) == ("rejected", None, False)
    assert swarm["error"] == {"code": "REJECTED", "message": "a person rejected it"}


async def test_the_deadline_also_ends_the_waiting_and_takes_the_question_back(
    shared: System, scripted_model: ScriptedModel
) -> None:
    deadline = (datetime.now(UTC) + timedelta(seconds=4)).isoformat()
    waiting = await a_held_swarm(shared, scripted_model, deadline=deadline)
    swarm = await over(shared, waiting["task_id"])
    assert (swarm["status"], swarm["result"], swarm["partial"]) == ("deadline_exceeded", None, False)
    asked = await until(lambda: approval(shared, waiting["approval_id"]), lambda it: it["status"] != "pending")
    assert asked["status"] == "withdrawn"


async def test_a_swarm_that_waits_can_be_cancelled(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await a_held_swarm(shared, scripted_model)
    assert (await shared.http.post(f"{SWARM}/{waiting['task_id']}/cancel")).status_code == 202
    swarm = await over(shared, waiting["task_id"])
    assert (swarm["status"], swarm["result"]) == ("cancelled", None)


async def test_without_approval_nothing_of_a_swarm_that_is_cut_short_is_given_out(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(said("Make one result of it", status=401))
    swarm = await done(shared, require_approval=True)
    assert (swarm["status"], swarm["result"], swarm["partial"]) == ("failed", None, False)


async def deployed(system: System) -> str:
    """An agent each of whose answers has to be let go."""
    body = {
        "name": "Careful Adviser",
        "description": "Says nothing that nobody has seen.",
        "system_prompt": "You are careful.",
        "approval": "high",
    }
    created = await system.http.post("/api/v1/agent-management/create", json=body)
    assert created.status_code in {201, 409}, created.text
    agent_id = "careful_adviser"
    if created.status_code == 201:
        agent_id = str(created.json()["id"])
        response = await system.http.post(f"/api/v1/agent-management/{agent_id}/deploy", json={})
        assert response.status_code == 200, response.text
    return agent_id


async def test_a_member_whose_answers_have_to_be_let_go_is_held(shared: System, scripted_model: ScriptedModel) -> None:
    agent_id = await deployed(shared)
    begun = await coordinate(shared, "sequential", agents=[agent_id, ANTONIO])
    waiting = await held(shared, begun["task_id"])
    assert waiting["agents"][0]["status"] == "awaiting_approval"
    asked = await approval(shared, waiting["approval_id"])
    assert (asked["type"], asked["risk_level"]) == ("agent_response", "high")
    await decide(shared, waiting["approval_id"], "approve", edited_content="Carefully said.")
    swarm = await over(shared, begun["task_id"])
    assert [agent["status"] for agent in swarm["agents"]] == ["completed", "completed"]
    assert swarm["agents"][0]["contribution"] == "Carefully said."
    assert "Carefully said." in scripted_model.requests()[-1]["messages"][-1]["content"]


async def test_a_rejected_member_counts_as_one_that_failed(shared: System, scripted_model: ScriptedModel) -> None:
    agent_id = await deployed(shared)
    begun = await coordinate(shared, "parallel", agents=[agent_id, ANTONIO])
    waiting = await held(shared, begun["task_id"])
    await decide(shared, waiting["approval_id"], "reject", reason="No.")
    swarm = await over(shared, begun["task_id"])
    assert (swarm["status"], swarm["agents"][0]["status"]) == ("completed", "rejected")
    assert f"Nothing came from {agent_id}." in scripted_model.requests()[-1]["messages"][-1]["content"]


async def test_where_a_plan_reads_the_answer_the_result_is_held_instead(
    shared: System, scripted_model: ScriptedModel
) -> None:
    agent_id = await deployed(shared)
    scripted_model.script(handing(agent_id, "A start.", AMY), handing(AMY, "All of it.", "finish"))
    begun = await coordinate(shared, "handoff", agents=[agent_id, AMY])
    waiting = await held(shared, begun["task_id"])
    asked = await approval(shared, waiting["approval_id"])
    assert (asked["type"], asked["risk_level"], asked["content"]) == ("swarm_result", "high", "All of it.")
    await decide(shared, waiting["approval_id"], "approve")
    assert (await over(shared, begun["task_id"]))["result"] == "All of it."

"""The integration example of the API's reference over HTTP: talk with Ali, have specialists coordinated, watch them."""

import pytest

from tests.scripted_model import ScriptedModel
from tests.system import System, until

SPECIALISTS = ["antonio_strategy_expert", "ava_analytics_virtuoso", "amy_cfo"]
COORDINATOR = "ali_chief_of_staff"


@pytest.fixture
def analysts(scripted_model: ScriptedModel) -> ScriptedModel:
    """A provider at which the specialists answer each for themselves, and Ali brings their answers together."""
    for name in ("Antonio", "Ava", "Amy"):
        scripted_model.script({"system": f"You are {name}", "text": f"{name} says: grow with care.", "times": None})
    scripted_model.script({"system": "You are Ali", "contains": "Antonio says", "text": "All say: grow with care."})
    return scripted_model


async def test_a_conversation_with_ali_becomes_a_coordinated_result(system: System, analysts: ScriptedModel) -> None:
    chat = await system.http.post(
        "/api/v1/agents/chat",
        json={
            "agent_id": COORDINATOR,
            "message": "I need a comprehensive business analysis",
            "context": {"department": "all", "priority": "high"},
        },
    )
    assert (chat.status_code, chat.json()["status"]) == (200, "completed"), chat.text
    assert chat.json()["response"]

    coordinated = await system.http.post(
        "/api/v1/swarm/coordinate",
        json={"task": "comprehensive_business_analysis", "agents": SPECIALISTS, "coordinator": COORDINATOR},
    )
    assert coordinated.status_code == 202, coordinated.text
    task_id = coordinated.json()["task_id"]

    status = await until(
        lambda: system.http.get(f"/api/v1/swarm/status/{task_id}"),
        lambda it: it.json()["status"] not in {"pending", "running"},
        seconds=30,
    )
    done = status.json()
    assert (done["status"], done["progress"], done["mode"]) == ("completed", 1.0, "collaborative")
    assert done["result"] == "All say: grow with care."
    assert [agent["agent_id"] for agent in done["agents"]] == SPECIALISTS
    assert [agent["contribution"] for agent in done["agents"]] == [
        f"{name} says: grow with care." for name in ("Antonio", "Ava", "Amy")
    ]
    assert (done["coordinator"]["agent_id"], done["coordinator"]["turns"]) == (COORDINATOR, 1)

    calls = await system.calls(workflow_id=task_id)
    assert sum(call["total_tokens"] for call in calls) == done["tokens"] > 0
    assert len(calls) + 1 == len(analysts.bill())

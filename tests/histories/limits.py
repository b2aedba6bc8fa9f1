"""Work that reaches a limit on cost and is allowed to spend more, or is not, to be recorded."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx

from domain.costs.price_book import NOTICE
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, System, until

APPROVALS = "/api/v1/approvals"
COSTS = "/api/v1/cost-management"
SWARM = "/api/v1/swarm"
WORKFLOWS = "/api/v1/workflows"


async def chat_allowed(system: System, model: ScriptedModel) -> str:
    """A chat that asks twice, as the first allowance is too small, and one that is refused more in its next turn."""
    del model
    project = await limited_project(system)
    context = {"project_id": project, "session_id": f"session_{uuid4().hex}"}
    await say(system, context, "First.")
    await decide(system, "approve", edited_content="0.000001")
    await decide(system, "approve")
    await over(system, context["session_id"], 1)
    await say(system, context, "Second.")
    await decide(system, "reject", reason="No more.")
    await over(system, context["session_id"], 2)
    (await system.http.delete(f"{CHAT}/{context['session_id']}")).raise_for_status()
    return f"chat-{context['session_id']}"


async def swarm_allowed(system: System, model: ScriptedModel) -> str:
    """Members that reach the limit side by side, and wait for one approval."""
    del model
    body = {
        "task": "Find a way.",
        "agents": ["ava_analytics_virtuoso", "amy_cfo"],
        "coordination_mode": "parallel",
        "context": {"project_id": await limited_project(system)},
    }
    task_id = (await system.http.post(f"{SWARM}/coordinate", json=body)).raise_for_status().json()["task_id"]
    await decide(system, "approve", edited_content="1")
    await until(
        lambda: system.http.get(f"{SWARM}/status/{task_id}"),
        lambda got: got.json()["status"] == "completed",
        seconds=30,
    )
    return str(task_id)


async def graph_allowed(system: System, model: ScriptedModel) -> str:
    """An agent's node that reaches the limit."""
    del model
    drawn = {
        "name": "Limited",
        "nodes": [{"id": "only", "type": "agent", "agent": AGENT, "prompt": "One."}],
        "edges": [],
    }
    workflow_id = (await system.http.post(WORKFLOWS, json=drawn)).raise_for_status().json()["id"]
    body = {"input": {"request": "x"}, "context": {"project_id": await limited_project(system)}}
    ran = await system.http.post(f"{WORKFLOWS}/{workflow_id}/execute", json=body)
    await decide(system, "approve", edited_content="1")
    await until(
        lambda: system.http.get(f"{WORKFLOWS}/{workflow_id}/status"),
        lambda got: got.json()["status"] == "completed",
        seconds=30,
    )
    return str(ran.json()["execution_id"])


async def limited_project(system: System) -> str:
    """A project under a limit of nothing, that asks; the model has a price."""
    price = {"model": "scripted", "input_per_million": 0, "output_per_million": 1}
    project = f"project-{uuid4().hex}"
    (await system.http.put(f"{COSTS}/prices", json={"prices": [price]})).raise_for_status()
    await asyncio.sleep(NOTICE.total_seconds() + 0.5)
    limit = {"scope": f"project:{project}", "window": "month", "limit_usd": 0, "on_breach": "ask"}
    (await system.http.put(f"{COSTS}/limits", json={"limits": [limit]})).raise_for_status()
    return project


async def say(system: System, context: dict[str, Any], message: str) -> None:
    body = {"agent_id": AGENT, "message": message, "context": context}
    (await system.http.post(CHAT, json=body)).raise_for_status()


async def decide(system: System, verb: str, **body: Any) -> None:
    """Decide the one approval that is pending."""

    async def pending() -> list[dict[str, Any]]:
        found = (await system.http.get(f"{APPROVALS}/pending")).json()["pending_approvals"]
        return [each for each in found if each["type"] == "budget"]

    [asked] = await until(pending, bool, seconds=20)
    answer: httpx.Response = await system.http.post(f"{APPROVALS}/{asked['id']}/{verb}", json=body)
    answer.raise_for_status()


async def over(system: System, session_id: str, turns: int) -> None:
    """Return when so many turns of a session have ended."""
    await until(
        lambda: system.session(session_id),
        lambda it: [turn["status"] in {"completed", "failed"} for turn in it["turns"]] == [True] * turns,
        seconds=20,
    )


SCENES = (chat_allowed, swarm_allowed, graph_allowed)

"""Results of swarms and executions, and decisions on approvals, are signed when they are recorded."""

from typing import Any

import httpx
import pytest

from domain.content import content_hash
from tests.scripted_model import ScriptedModel
from tests.signatures.test_turns import verified
from tests.system import AGENT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
NODES = [{"id": "say", "type": "agent", "agent": AGENT, "prompt": "{{ input.request }}"}]


async def ended(system: System, path: str) -> dict[str, Any]:
    def is_over(response: httpx.Response) -> bool:
        return response.status_code == 200 and response.json()["status"] in {"completed", "failed", "rejected"}

    return dict((await until(lambda: system.http.get(path), is_over, seconds=30)).json())


async def swarm(system: System) -> dict[str, Any]:
    body = {"task": "Say it.", "agents": ["amy_cfo", "jony_creative_director"], "coordination_mode": "parallel"}
    task_id = (await system.http.post("/api/v1/swarm/coordinate", json=body)).json()["task_id"]
    return await ended(system, f"/api/v1/swarm/status/{task_id}")


async def execution(system: System, name: str) -> dict[str, Any]:
    made = await system.http.post("/api/v1/workflows", json={"name": name, "nodes": NODES, "edges": []})
    assert made.status_code == 201, made.text
    path = f"/api/v1/workflows/{made.json()['id']}"
    run = (await system.http.post(f"{path}/execute", json={"input": {"request": "Say it."}})).json()
    return await ended(system, f"{path}/status?execution_id={run['execution_id']}")


async def test_a_swarms_result_is_signed(shared: System, scripted_model: ScriptedModel) -> None:
    done = await swarm(shared)
    statement = verified(shared, done["signature"])
    assert statement == {
        "kind": "swarm",
        "tenant_id": "default",
        "task_id": done["task_id"],
        "status": "completed",
        "content_hash": content_hash(done["result"]),
        "at": statement["at"],
    }


async def test_an_executions_output_is_signed(shared: System, scripted_model: ScriptedModel) -> None:
    done = await execution(shared, "Signed")
    statement = verified(shared, done["signature"])
    assert statement["content_hash"]
    assert {
        name: statement[name] for name in ("kind", "execution_id", "workflow_id", "workflow_version", "status")
    } == {
        "kind": "execution",
        "execution_id": done["execution_id"],
        "workflow_id": done["workflow_id"],
        "workflow_version": 1,
        "status": "completed",
    }


@pytest.mark.parametrize(("verb", "outcome"), [("approve", "approved"), ("reject", "rejected")])
async def test_a_decision_is_signed(shared: System, scripted_model: ScriptedModel, verb: str, outcome: str) -> None:
    scripted_model.script({"text": "Shall I?"})
    held = (await shared.say("Do it.", f"decided-{verb}", require_approval=True)).json()
    path = f"/api/v1/approvals/{held['approval_id']}"
    assert (await shared.http.get(path)).json()["signature"] is None
    word = {"comment": "Yes."} if verb == "approve" else {"reason": "No."}
    decided = (await shared.http.post(f"{path}/{verb}", json=word)).json()
    statement = verified(shared, decided["signature"])
    assert statement == {
        "kind": "approval",
        "tenant_id": "default",
        "approval_id": held["approval_id"],
        "workflow_id": held["workflow_id"],
        "agent_id": AGENT,
        "outcome": outcome,
        "decided_by": decided["decided_by"],
        "content_hash": content_hash("Shall I?"),
        "comment_hash": content_hash(*word.values()),
        "at": statement["at"],
    }
    assert (await shared.http.get(path)).json()["signature"] == decided["signature"]

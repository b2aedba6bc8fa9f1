"""What a tenant starts carries the tenant wherever it leads: children, swarms, approvals, tools, delegation."""

import json
from typing import Any

from adapters.postgres.projections.rebuild import Rebuild
from runtime.wiring.projections import projections
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, OF_ACME, OF_ZETA, System, until
from workflows.search_attributes import TENANT

API = "/api/v1"
OWN_AGENT = {"name": "Scribe", "description": "Writes.", "system_prompt": "Write.", "tools": ["delegate"]}
CHILD = {
    "name": "Inner",
    "nodes": [{"id": "write", "type": "agent", "agent": "scribe", "prompt": "{{ input.request }}"}],
    "edges": [],
}
OUTER = {
    "name": "Outer",
    "nodes": [
        {"id": "inner", "type": "workflow", "workflow": "workflow_inner", "input": {"request": "{{ input.request }}"}},
        {"id": "team", "type": "swarm", "agents": ["scribe", "amy_cfo"], "mode": "sequential", "task": "Do it."},
        {"id": "each", "type": "map", "over": "[1, 2]", "node": {"type": "agent", "agent": "scribe", "prompt": "Hi."}},
        {"id": "costs", "type": "tool", "tool": "query_costs", "arguments": {"period": "today", "group_by": "day"}},
        {"id": "ask", "type": "approval", "title": "Done?", "content": "All of it."},
        {"id": "end", "type": "transform", "set": {"said": "nodes.ask.output.approved"}},
    ],
    "edges": [
        {"from": "inner", "to": "team"},
        {"from": "team", "to": "each"},
        {"from": "each", "to": "costs"},
        {"from": "costs", "to": "ask"},
        {"from": "ask", "to": "end"},
    ],
}
OTHERS = """
    SELECT topic, originator_id FROM ledger_events
    WHERE convert_from(state, 'UTF8')::jsonb ->> 'tenant_id' <> 'acme'
        AND convert_from(state, 'UTF8')::jsonb ->> 'by' <> 'seed' AND topic NOT LIKE 'risk_policy.%'
        AND topic NOT LIKE 'signatures.key_%'
"""


async def post(system: System, path: str, body: Any) -> dict[str, Any]:
    answer = await system.http.post(f"{API}{path}", json=body, headers=OF_ACME)
    assert answer.status_code in {200, 201, 202}, answer.text
    return dict(answer.json())


async def status(system: System) -> dict[str, Any]:
    answer = await system.http.get(f"{API}/workflows/workflow_outer/status", headers=OF_ACME)
    return dict(answer.json())


async def test_all_that_a_run_leads_to_is_its_tenants(system: System, scripted_model: ScriptedModel) -> None:
    asks = {"name": "delegate", "arguments": {"agent_id": AGENT, "task": "Help."}}
    scripted_model.script({"contains": "Ask for help.", "wants": "delegate", "role": "user", "calls": [asks]})
    await post(system, "/agent-management/create", OWN_AGENT)
    await post(system, "/agent-management/scribe/deploy", {})
    told = await post(system, "/agents/chat", {"agent_id": "scribe", "message": "Ask for help."})
    assert told["tools_used"] == ["delegate"]
    session = f"/agents/chat/{told['session_id']}"
    await post(system, f"{session}/turns/1/rating", {"rating": 5})
    await post(system, f"{session}/fork", {"turn": 1})
    assert (await system.http.delete(f"{API}{session}", headers=OF_ACME)).status_code == 200
    for workflow in (CHILD, OUTER):
        await post(system, "/workflows", workflow)
    run = await post(system, "/workflows/workflow_outer/execute", {"input": {"request": "Begin."}, "budget_usd": 5})
    waiting = await until(lambda: status(system), lambda it: it["status"] != "running", seconds=60)
    assert waiting["status"] == "awaiting_approval", json.dumps(waiting)
    [approval_id] = [node["approval_id"] for node in waiting["nodes"] if node.get("approval_id")]
    for verb in ("pause", "resume"):
        await post(system, f"/workflows/workflow_outer/executions/{run['execution_id']}/{verb}", {})
    refused = await system.http.post(f"{API}/approvals/{approval_id}/approve", json={}, headers=OF_ZETA)
    assert refused.status_code == 404
    await post(system, f"/approvals/{approval_id}/approve", {})
    done = await until(lambda: status(system), lambda it: it["status"] != "awaiting_approval", seconds=30)
    assert (done["status"], done["result"]) == ("completed", {"end": {"said": True}}), json.dumps(done)
    with system.parts.database.connection() as connection:
        assert connection.execute(OTHERS.encode()).fetchall() == []
        topics = {row[0].partition("/")[0] for row in connection.execute("SELECT DISTINCT topic FROM ledger_events")}
    assert topics >= {"costs.budget_reserved", "chat.turn_rated", "chat.session_ended", "tool.ended", "swarm.ended"}
    assert {described.id async for described in system.temporal.list_workflows("TenantId = 'acme'")} >= {
        run["execution_id"],
        approval_id,
        told["workflow_id"],
    }
    child = next(node["execution_id"] for node in done["nodes"] if node["id"] == "inner")
    handle = system.temporal.get_workflow_handle(child)
    assert (await handle.describe()).typed_search_attributes[TENANT] == "acme"


async def test_views_with_several_tenants_equal_their_rebuild(system: System, scripted_model: ScriptedModel) -> None:
    for headers in ({}, OF_ACME, OF_ZETA):
        answer = await system.http.post(f"{API}/agent-management/create", json=OWN_AGENT, headers=headers)
        assert answer.status_code == 201, answer.text
        answer = await system.http.post(f"{API}/workflows", json=CHILD | {"name": "Same name"}, headers=headers)
        assert answer.status_code == 422, "the agent is not deployed"
        answer = await system.http.post(f"{API}/agent-management/scribe/deploy", json={}, headers=headers)
        answer = await system.http.post(f"{API}/workflows", json=CHILD | {"name": "Same name"}, headers=headers)
        assert answer.status_code == 201, answer.text
        await system.say("Hello.", "the-same-name", headers=headers)
    await system.settled("the-same-name")
    for projection in projections():
        rebuilt = Rebuild(system.settings.database_url or "", system.parts.registry, projection).run(swap=False)
        assert all(comparison.equal for comparison in rebuilt.comparisons), projection.name

"""Runs of workflows over HTTP, on the whole system with a scripted provider."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, OF_ACME, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOWS = "/api/v1/workflows"
OVER = {"completed", "rejected", "failed", "cancelled"}
LOOK = {"id": "look", "type": "agent", "agent": AGENT, "prompt": "Look at {{ input.request }}."}
SHORT = {"id": "short", "type": "transform", "set": {"said": "nodes.look.output"}}
WAIT = {"id": "wait", "type": "wait", "event": "go"}
TOLD = {"id": "told", "type": "transform", "set": {"by": "nodes.wait.output.payload.by", "who": "context.user_id"}}
CHAIN = [{"from": "look", "to": "short"}]
WAITING = [{"from": "wait", "to": "told"}]


async def made(system: System, nodes: list[dict[str, Any]], edges: list[dict[str, str]], **more: Any) -> str:
    """The id of a workflow."""
    body = {"name": f"Workflow {uuid4().hex[:12]}", "nodes": nodes, "edges": edges, **more}
    answer = await system.http.post(WORKFLOWS, json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def begun(system: System, workflow_id: str, **more: Any) -> dict[str, Any]:
    """A run that was started."""
    headers = more.pop("headers", {})
    body = {"input": {"request": "the sky"}, **more}
    answer = await system.http.post(f"{WORKFLOWS}/{workflow_id}/execute", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    execution_id = answer.json()["execution_id"]
    assert answer.headers["location"] == f"{WORKFLOWS}/{workflow_id}/status?execution_id={execution_id}"
    return dict(answer.json())


async def status(system: System, run: dict[str, Any]) -> dict[str, Any]:
    path = f"{WORKFLOWS}/{run['workflow_id']}/status"
    answer = await system.http.get(path, params={"execution_id": run["execution_id"]})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def over(system: System, run: dict[str, Any]) -> dict[str, Any]:
    return await until(lambda: status(system, run), lambda it: it["status"] in OVER, seconds=30)


async def at(system: System, run: dict[str, Any], node: str) -> dict[str, Any]:
    """The status as soon as this node is under way."""
    return await until(lambda: status(system, run), lambda it: node in it["current_nodes"], seconds=30)


async def told(system: System, run: dict[str, Any], verb: str, **more: Any) -> httpx.Response:
    path = f"{WORKFLOWS}/{run['workflow_id']}/executions/{run['execution_id']}/{verb}"
    return await system.http.post(path, **more)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_workflow_runs_from_its_input_to_its_result(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "Look at the sky", "text": "It is blue.", "times": None})
    workflow_id = await made(shared, [LOOK, SHORT], CHAIN)
    run = await begun(shared, workflow_id, context={"project_id": 7, "mood": "calm"})
    assert (run["workflow_id"], run["version"], run["status"]) == (workflow_id, 1, "running")
    seen = await over(shared, run)
    assert (seen["status"], seen["progress"], seen["error"], seen["project_id"]) == ("completed", 1.0, None, "7")
    assert seen["result"] == {"short": {"said": "It is blue."}}
    assert seen["input"] == {"request": "the sky"}
    look, short = seen["nodes"]
    assert (look["id"], look["status"], look["output"], look["attempts"]) == ("look", "completed", "It is blue.", 1)
    assert (short["output"], short["type"], short["cost"]) == ({"said": "It is blue."}, "transform", 0)
    assert look["started_at"] <= look["ended_at"] <= short["ended_at"] <= seen["ended_at"]
    calls = await shared.calls(workflow_id=run["execution_id"])
    assert_books_agree(calls, scripted_model.bill())
    assert seen["tokens"] == look["tokens"] == sum(call["total_tokens"] for call in calls) > 0


async def test_the_newest_run_is_the_status_of_the_workflow(shared: System, scripted_model: ScriptedModel) -> None:
    workflow_id = await made(shared, [LOOK, SHORT], CHAIN)
    path = f"{WORKFLOWS}/{workflow_id}/status"
    assert refused(await shared.http.get(path)) == (404, "NOT_FOUND")
    for _ in range(2):
        run = await begun(shared, workflow_id)
        assert (await shared.http.get(path)).json()["execution_id"] == run["execution_id"]
    await over(shared, run)
    listed = (await shared.http.get(f"{WORKFLOWS}/{workflow_id}/executions")).json()
    assert listed["data"][0]["execution_id"] == run["execution_id"]
    assert listed["pagination"]["total"] == 2


async def test_the_catalogue_tells_how_runs_went(shared: System, scripted_model: ScriptedModel) -> None:
    workflow_id = await made(
        shared,
        [{"id": "one", "type": "transform", "set": {"n": "1 / int(input.by)"}}],
        [],
        input={"type": "object", "properties": {"by": {"type": "string"}}, "required": ["by"]},
    )
    for by in ("1", "0"):
        await over(shared, await begun(shared, workflow_id, input={"by": by}))
    found = (await shared.http.get(f"{WORKFLOWS}/{workflow_id}")).json()
    assert (found["runs"], found["success_rate"]) == (2, 0.5)
    assert found["duration_p50_s"] > 0
    by_status = await shared.http.get(f"{WORKFLOWS}/{workflow_id}/executions", params={"status": "failed"})
    [failed] = by_status.json()["data"]
    assert failed["error"]["node"] == "one"


@pytest.mark.parametrize(
    ("given", "field"),
    [({}, "input"), ({"request": 7}, "input.request"), ({"request": "x", "kind": "odd"}, "input.kind")],
)
async def test_an_input_that_does_not_fit_is_refused_by_its_field(
    shared: System, given: dict[str, Any], field: str
) -> None:
    schema = {
        "type": "object",
        "properties": {"request": {"type": "string"}, "kind": {"enum": ["plain", "rich"], "default": "plain"}},
        "required": ["request", "kind"],
    }
    workflow_id = await made(shared, [LOOK, SHORT], CHAIN, input=schema)
    answer = await shared.http.post(f"{WORKFLOWS}/{workflow_id}/execute", json={"input": given})
    assert refused(answer) == (422, "VALIDATION_ERROR")
    assert answer.json()["error"]["details"]["field"] == field


async def test_a_run_keeps_its_version_and_an_older_one_can_be_run(
    shared: System, scripted_model: ScriptedModel
) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    run = await begun(shared, workflow_id)
    await shared.http.put(f"{WORKFLOWS}/{workflow_id}", json={"nodes": [LOOK, SHORT], "edges": CHAIN})
    assert (await begun(shared, workflow_id))["version"] == 2
    assert (await begun(shared, workflow_id, version=1))["version"] == 1
    assert [node["id"] for node in (await status(shared, run))["nodes"]] == ["wait", "told"]
    answer = await shared.http.post(
        f"{WORKFLOWS}/{workflow_id}/execute", json={"input": {"request": "x"}, "version": 9}
    )
    assert refused(answer) == (404, "NOT_FOUND")


async def test_an_event_that_a_node_waits_for_lets_it_go_on(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    run = await begun(shared, workflow_id, context={"user_id": "ada"})
    await at(shared, run, "wait")
    answer = await told(shared, run, "events", json={"name": "go", "payload": {"by": "bob"}})
    assert answer.status_code == 202, answer.text
    assert answer.json()["name"] == "go"
    seen = await over(shared, run)
    assert seen["result"] == {"told": {"by": "bob", "who": "ada"}}
    assert refused(await told(shared, run, "events", json={"name": "go"})) == (409, "CONFLICT")


async def test_a_run_is_paused_and_goes_on(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    run = await begun(shared, workflow_id, context={"user_id": "ada"})
    await at(shared, run, "wait")
    paused = await told(shared, run, "pause")
    assert (paused.status_code, paused.json()["status"]) == (202, "paused")
    await told(shared, run, "events", json={"name": "go", "payload": {"by": "bob"}})
    await until(lambda: status(shared, run), lambda it: it["nodes"][0]["status"] == "completed")
    await asyncio.sleep(0.3)
    assert (await status(shared, run))["nodes"][1]["status"] == "pending"
    assert (await told(shared, run, "resume")).json()["status"] in {"running", "completed"}
    assert (await over(shared, run))["status"] == "completed"


async def test_a_run_is_paused_again_under_the_same_request_id(shared: System) -> None:
    run = await begun(shared, await made(shared, [WAIT, TOLD], WAITING))
    await at(shared, run, "wait")
    headers = {"X-Request-ID": "the-same"}
    verbs = ("pause", "resume", "pause", "resume")
    seen = [(await told(shared, run, verb, headers=headers)).json()["status"] for verb in verbs]
    assert seen == ["paused", "running", "paused", "running"]


async def test_a_run_that_is_cancelled_stays_so(shared: System) -> None:
    run = await begun(shared, await made(shared, [WAIT, TOLD], WAITING))
    await at(shared, run, "wait")
    assert (await told(shared, run, "cancel")).status_code == 202
    seen = await over(shared, run)
    assert (seen["status"], seen["error"]["code"]) == ("cancelled", "CANCELLED")
    assert seen["progress"] < 1
    assert (await told(shared, run, "cancel")).json()["status"] == "cancelled"
    for verb in ("pause", "resume"):
        assert refused(await told(shared, run, verb)) == (409, "CONFLICT")


async def test_a_run_that_failed_goes_on_from_where_it_stopped(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "Judge", "status": 401, "times": 1})
    judge = {"id": "judge", "type": "agent", "agent": AGENT, "prompt": "Judge {{ nodes.look.output }}"}
    run = await begun(shared, await made(shared, [LOOK, judge], [{"from": "look", "to": "judge"}]))
    failed = await over(shared, run)
    assert (failed["status"], failed["error"]["node"]) == ("failed", "judge")
    again = await told(shared, run, "retry")
    assert again.status_code == 202, again.text
    seen = await over(shared, run)
    assert (seen["status"], seen["nodes"][0]["attempts"]) == ("completed", 1)
    assert refused(await told(shared, run, "retry")) == (409, "CONFLICT")


async def test_the_same_key_joins_the_run_that_was_started_first(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    headers = {"Idempotency-Key": uuid4().hex}
    runs = [await begun(shared, workflow_id, headers=headers) for _ in range(2)]
    assert runs[0]["execution_id"] == runs[1]["execution_id"]


async def test_what_is_not_there_is_not_found(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    other = await made(shared, [WAIT, TOLD], WAITING)
    run = await begun(shared, workflow_id)
    nowhere = [
        {"workflow_id": workflow_id, "execution_id": "exec_none"},
        {"workflow_id": workflow_id, "execution_id": "chat-none"},
        {"workflow_id": other, "execution_id": run["execution_id"]},
    ]
    for place in nowhere:
        for verb in ("cancel", "pause", "resume", "retry"):
            assert refused(await told(shared, place, verb)) == (404, "NOT_FOUND")
        assert refused(await told(shared, place, "events", json={"name": "go"})) == (404, "NOT_FOUND")
        for what in ("status", "diagram"):
            path = f"{WORKFLOWS}/{place['workflow_id']}/{what}"
            answer = await shared.http.get(path, params={"execution_id": place["execution_id"]})
            assert refused(answer) == (404, "NOT_FOUND")
    missing = await shared.http.post(f"{WORKFLOWS}/workflow_none/execute", json={"input": {"request": "x"}})
    assert refused(missing) == (404, "NOT_FOUND")


async def test_another_tenants_run_is_not_found(shared: System) -> None:
    workflow_id = "workflow_strategic_analysis"
    run = await begun(shared, workflow_id, headers=OF_ACME)
    path = f"{WORKFLOWS}/{workflow_id}/status"
    wanted = {"execution_id": run["execution_id"]}
    assert refused(await shared.http.get(path, params=wanted)) == (404, "NOT_FOUND")
    assert refused(await told(shared, run, "cancel")) == (404, "NOT_FOUND")
    assert (await shared.http.get(path, params=wanted, headers=OF_ACME)).status_code == 200
    assert (await shared.http.get(f"{WORKFLOWS}/{workflow_id}/executions")).json()["pagination"]["total"] == 0


async def test_a_retired_workflow_is_not_run(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    await shared.http.delete(f"{WORKFLOWS}/{workflow_id}")
    answer = await shared.http.post(f"{WORKFLOWS}/{workflow_id}/execute", json={"input": {"request": "x"}})
    assert refused(answer) == (409, "CONFLICT")


async def test_a_run_is_drawn_as_it_stands(shared: System) -> None:
    workflow_id = await made(shared, [WAIT, TOLD], WAITING)
    run = await begun(shared, workflow_id)
    await at(shared, run, "wait")
    path = f"{WORKFLOWS}/{workflow_id}/diagram"
    drawn = (await shared.http.get(path, params={"execution_id": run["execution_id"]})).json()
    plain = (await shared.http.get(path)).json()
    assert (drawn["execution_id"], plain["execution_id"]) == (run["execution_id"], None)
    assert "running" in drawn["mermaid"]
    assert "running" not in plain["mermaid"]


async def test_a_person_decides_about_a_node(shared: System, scripted_model: ScriptedModel) -> None:
    ask = {"id": "ask", "type": "approval", "title": "Go?", "content": "About {{ input.request }}"}
    run = await begun(shared, await made(shared, [ask], []))
    seen = await until(lambda: status(shared, run), lambda it: it["status"] == "awaiting_approval", seconds=20)
    [node] = seen["nodes"]
    assert (node["status"], seen["current_nodes"]) == ("awaiting_approval", ["ask"])
    await until(
        lambda: shared.http.post(f"/api/v1/approvals/{node['approval_id']}/approve", json={}),
        lambda answer: answer.status_code == 200,
    )
    assert (await over(shared, run))["result"]["ask"]["approved"]

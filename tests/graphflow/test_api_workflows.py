"""Workflows that people write down, against the whole system."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.scripted_model import ScriptedModel
from tests.servers import ROOT
from tests.system import AGENT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKFLOWS = "/api/v1/workflows"
LOOK = {"id": "look", "type": "agent", "agent": AGENT, "prompt": "Look at {{ input.request }}."}
SHORT = {"id": "short", "type": "transform", "set": {"said": "nodes.look.output"}}


def a_definition(**changed: Any) -> dict[str, Any]:
    name = f"Workflow {uuid4().hex[:12]}"
    return {"name": name, "nodes": [LOOK, SHORT], "edges": [{"from": "look", "to": "short"}], **changed}


async def made(system: System, **changed: Any) -> dict[str, Any]:
    answer = await system.http.post(WORKFLOWS, json=a_definition(**changed))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def error(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()["error"]
    return {"status": answer.status_code, **body}


async def test_a_workflow_of_ones_own_is_written_down(shared: System) -> None:
    body = a_definition(name="Quick look")
    answer = await shared.http.post(WORKFLOWS, json=body, params={"note": "A start."})
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"{WORKFLOWS}/workflow_quick_look"
    assert answer.headers["etag"] == '"1"'
    workflow = answer.json()
    assert (workflow["id"], workflow["version"], workflow["steps"]) == ("workflow_quick_look", 1, 2)
    assert (workflow["status"], workflow["note"], workflow["definition"]) == ("active", "A start.", body)
    assert workflow["validation"]["valid"]
    assert workflow["validation"]["worst_case_model_calls"] >= 1
    read = (await shared.http.get(answer.headers["location"])).json()
    assert (read["definition"], read["created_at"]) == (body, workflow["created_at"])
    assert (read["success_rate"], read["runs"], read["duration_p50_s"], read["ready_made"]) == (None, 0, None, False)


async def test_the_catalogue_lists_it_in_the_documented_shape(shared: System) -> None:
    workflow = await made(shared, description="Of a kind.")
    listed = (await shared.http.get(WORKFLOWS, params={"q": workflow["name"]})).json()
    assert {"total": 1, "skip": 0, "limit": 100}.items() <= listed.items()
    assert listed["pagination"] == {"total": 1, "skip": 0, "limit": 100, "has_next": False, "has_prev": False}
    [row] = listed["workflows"]
    wanted = {"id", "name", "description", "status", "steps", "success_rate", "created_at", "version"}
    assert wanted <= row.keys()
    assert (row["id"], row["description"], row["status"]) == (workflow["id"], "Of a kind.", "active")


async def test_all_that_is_wrong_is_told_place_by_place(shared: System) -> None:
    nodes = [{**LOOK, "agent": "amy_cfoo"}, {**SHORT, "set": {"said": "nodes.nobody.output"}}]
    refusal = error(await shared.http.post(WORKFLOWS, json=a_definition(nodes=nodes)))
    assert (refusal["status"], refusal["code"]) == (422, "VALIDATION_ERROR")
    places = [each["where"] for each in refusal["details"]["errors"]]
    assert {"node look", "node short"} <= set(places)
    [unknown] = [each for each in refusal["details"]["errors"] if each["code"] == "unknown_agent"]
    assert "amy_cfo" in unknown["fix"]
    assert refusal["details"]["field"] == refusal["details"]["errors"][0]["field"]


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"nodes": [{**LOOK, "mood": "sunny"}]}, "node look"),
        ({"nodes": [{**LOOK, "type": "gaze"}]}, "node look"),
        ({"nodes": []}, "definition"),
        ({"edges": [{"from": "look"}]}, "edges[0]"),
        ({"edges": [{"from": "look", "to": "nowhere"}]}, "edge look -> nowhere"),
        ({"surprise": 1}, "definition"),
        ({"name": None}, "definition"),
    ],
)
async def test_what_is_no_definition_is_refused_where_it_is_wrong(
    shared: System, changed: dict[str, Any], where: str
) -> None:
    refusal = error(await shared.http.post(WORKFLOWS, json=a_definition(**changed)))
    assert (refusal["status"], refusal["code"]) == (422, "VALIDATION_ERROR")
    assert where in {each["where"] for each in refusal["details"]["errors"]}, refusal
    assert all(each["field"] and each["reason"] for each in refusal["details"]["errors"])


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null"])
async def test_what_is_no_object_is_refused(shared: System, body: str) -> None:
    json = {"content": body, "headers": {"content-type": "application/json"}}
    answers = [await shared.http.post(f"{WORKFLOWS}{path}", **json) for path in ("", "/import")]
    answers.append(await shared.http.put(f"{WORKFLOWS}/workflow_none", **json))
    assert {answer.status_code for answer in answers} <= {404, 422}
    assert answers[0].status_code == 422


async def test_a_name_that_is_taken_is_a_conflict(shared: System) -> None:
    workflow = await made(shared)
    refusal = error(await shared.http.post(WORKFLOWS, json=a_definition(name=workflow["name"].upper())))
    assert (refusal["status"], refusal["code"]) == (409, "CONFLICT")
    assert refusal["details"]["workflow_id"] == workflow["id"]


async def test_a_repeat_is_answered_as_the_first_time(shared: System) -> None:
    body, headers = a_definition(), {"Idempotency-Key": uuid4().hex}
    first, second = [await shared.http.post(WORKFLOWS, json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["idempotency-replayed"] == "true"


async def test_a_change_is_a_new_version_and_the_old_one_stays(shared: System) -> None:
    workflow = await made(shared)
    path = f"{WORKFLOWS}/{workflow['id']}"
    answer = await shared.http.put(path, json={"description": "Quicker."}, params={"note": "Says what it is."})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.headers["etag"]) == (2, '"2"')
    assert answer.json()["definition"] == {**workflow["definition"], "description": "Quicker."}
    listed = (await shared.http.get(f"{path}/versions")).json()
    assert [(each["version"], each["note"]) for each in listed["data"]] == [(2, "Says what it is."), (1, None)]
    assert listed["pagination"]["total"] == 2
    assert (await shared.http.get(f"{path}/versions/1")).json()["definition"] == workflow["definition"]
    again = await shared.http.put(path, json={"description": "Quicker."})
    assert again.json()["version"] == 2


async def test_a_change_names_the_version_that_it_is_meant_for(shared: System) -> None:
    path = f"{WORKFLOWS}/{(await made(shared))['id']}"
    stale = {"If-Match": '"7"'}
    for answer in (
        await shared.http.put(path, json={"description": "No."}, headers=stale),
        await shared.http.delete(path, headers=stale),
    ):
        assert error(answer)["code"] == "PRECONDITION_FAILED"
    assert (await shared.http.put(path, json={"description": "x"}, headers={"If-Match": '"1"'})).status_code == 200


async def test_a_change_that_could_not_run_is_refused(shared: System) -> None:
    path = f"{WORKFLOWS}/{(await made(shared))['id']}"
    refusal = error(await shared.http.put(path, json={"nodes": [SHORT]}))
    assert refusal["status"] == 422
    assert (await shared.http.get(path)).json()["version"] == 1


async def test_a_retired_workflow_is_kept_and_its_name_is_free(shared: System) -> None:
    workflow = await made(shared)
    path = f"{WORKFLOWS}/{workflow['id']}"
    assert (await shared.http.delete(path)).json() == {"id": workflow["id"], "status": "deleted"}
    assert (await shared.http.get(path)).json()["status"] == "retired"
    assert (await shared.http.get(WORKFLOWS, params={"q": workflow["name"]})).json()["total"] == 0
    retired = await shared.http.get(WORKFLOWS, params={"q": workflow["name"], "status": "retired"})
    assert retired.json()["total"] == 1
    assert error(await shared.http.put(path, json={"description": "x"}))["code"] == "CONFLICT"
    assert (await made(shared, name=workflow["name"]))["id"] != workflow["id"]


async def test_a_workflow_that_is_not_there_is_not_found(shared: System) -> None:
    path = f"{WORKFLOWS}/workflow_none"
    for answer in (
        await shared.http.get(path),
        await shared.http.put(path, json={}),
        await shared.http.delete(path),
        await shared.http.get(f"{path}/versions"),
        await shared.http.get(f"{path}/versions/1"),
        await shared.http.get(f"{path}/diagram"),
        await shared.http.post(f"{path}/validate"),
    ):
        assert error(answer)["code"] == "NOT_FOUND"


async def test_a_definition_is_validated_without_being_written_down(shared: System) -> None:
    good = (await shared.http.post(f"{WORKFLOWS}/validate", json=a_definition())).json()
    assert (good["valid"], good["errors"]) == (True, [])
    assert good["worst_case_cost_usd"] is not None
    bad = await shared.http.post(f"{WORKFLOWS}/validate", json=a_definition(nodes=[{**LOOK, "agent": "nobody"}]))
    assert bad.status_code == 200
    assert not bad.json()["valid"]
    assert bad.json()["worst_case_cost_usd"] is None
    malformed = (await shared.http.post(f"{WORKFLOWS}/validate", json={"nodes": [{"id": "x"}]})).json()
    assert {each["where"] for each in malformed["errors"]} >= {"node x"}


async def test_a_version_is_validated_as_things_are_now(shared: System) -> None:
    workflow = await made(shared)
    path = f"{WORKFLOWS}/{workflow['id']}/validate"
    assert (await shared.http.post(path)).json()["valid"]
    assert error(await shared.http.post(path, params={"version": 2}))["code"] == "NOT_FOUND"


async def test_workflows_inside_one_are_counted_and_may_not_include_it(shared: System) -> None:
    inner = await made(shared)
    call = {"id": "call", "type": "workflow", "workflow": inner["id"], "input": {"request": "{{ input.request }}"}}
    outer = await made(shared, nodes=[call], edges=[])
    counted = [workflow["validation"]["worst_case_model_calls"] for workflow in (inner, outer)]
    assert counted[0] == counted[1] > 0
    back = {**call, "workflow": outer["id"]}
    refusal = error(await shared.http.put(f"{WORKFLOWS}/{inner['id']}", json={"nodes": [back], "edges": []}))
    assert "includes_itself" in {each["code"] for each in refusal["details"]["errors"]}


async def test_what_runs_inside_one_is_proven_too(shared: System) -> None:
    managed = "/api/v1/agent-management"
    body = {"name": f"Agent {uuid4().hex[:12]}", "description": "Passes.", "system_prompt": "You pass."}
    agent_id = (await shared.http.post(f"{managed}/create", json=body)).json()["id"]
    await shared.http.post(f"{managed}/{agent_id}/deploy", json={})
    inner = await made(shared, nodes=[{**LOOK, "agent": agent_id}], edges=[])
    call = {"id": "call", "type": "workflow", "workflow": inner["id"], "input": {"request": "{{ input.request }}"}}
    outer = await made(shared, nodes=[call], edges=[])
    await shared.http.delete(f"{managed}/{agent_id}")
    found = (await shared.http.post(f"{WORKFLOWS}/{outer['id']}/validate")).json()
    assert [(each["code"], each["where"]) for each in found["errors"]] == [("flawed_workflow", "node call")]
    assert found["worst_case_cost_usd"] is None


async def test_tools_are_known_by_their_arguments(shared: System) -> None:
    call = {"id": "call", "type": "tool", "tool": "query_costs", "arguments": {"group_by": "agent", "period": "today"}}
    workflow = await made(shared, nodes=[call], edges=[])
    assert workflow["validation"]["worst_case_model_calls"] == 0
    for changed in ({"tool": "query_cost"}, {"arguments": {"group_by": "agent"}}):
        answer = await shared.http.post(WORKFLOWS, json=a_definition(nodes=[{**call, **changed}], edges=[]))
        assert error(answer)["details"]["errors"][0]["where"] == "node call"


async def test_a_diagram_is_drawn_of_any_version(shared: System) -> None:
    workflow = await made(shared)
    await shared.http.put(f"{WORKFLOWS}/{workflow['id']}", json={"nodes": [LOOK], "edges": []})
    newest = (await shared.http.get(f"{WORKFLOWS}/{workflow['id']}/diagram")).json()
    first = (await shared.http.get(f"{WORKFLOWS}/{workflow['id']}/diagram", params={"version": 1})).json()
    assert newest["mermaid"].startswith("flowchart")
    assert (newest["version"], first["version"]) == (2, 1)
    assert "-->" in first["mermaid"]
    assert "-->" not in newest["mermaid"]


async def test_a_component_of_autogen_becomes_a_workflow(shared: System, scripted_model: ScriptedModel) -> None:
    component = (ROOT / "tests/graphflow/team.json").read_text()
    headers = {"content-type": "application/json"}
    answer = await shared.http.post(f"{WORKFLOWS}/import", content=component, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.json()["validation"]["valid"]
    assert answer.headers["location"] == f"{WORKFLOWS}/{answer.json()['id']}"
    assert answer.json()["notes"]


async def test_a_team_is_imported_again_under_another_name(shared: System) -> None:
    component = json.loads((ROOT / "tests/graphflow/team.json").read_text())
    component["config"]["name"] = f"Team {uuid4().hex[:12]}"
    answers = [
        await shared.http.post(f"{WORKFLOWS}/import", json=component, params=params)
        for params in ({}, {}, {"name": f"{component['config']['name']} again"})
    ]
    assert [answer.status_code for answer in answers] == [201, 409, 201]
    assert answers[2].json()["name"] == f"{component['config']['name']} again"


async def test_what_cannot_be_imported_is_named(shared: System) -> None:
    refusal = error(await shared.http.post(f"{WORKFLOWS}/import", json={"provider": "somebody.Else"}))
    assert refusal["status"] == 422
    refusal = error(
        await shared.http.post(f"{WORKFLOWS}/import", json={"provider": "x"}, params={"stand_in": "nobody"})
    )
    assert refusal["details"]["field"] == "stand_in"

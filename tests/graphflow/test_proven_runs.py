"""What is proven can run, and what cannot run is refused before it is begun."""

from typing import Any

import pytest

from domain.graphflow.validation.context import MOST_NESTED
from tests.graphflow.test_api_executions import WAIT, at, begun, made, over, told
from tests.graphflow.test_api_workflows import WORKFLOWS, a_definition, error
from tests.system import AGENT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

ONE = {"id": "one", "type": "transform", "set": {"x": "1"}}
ANY: dict[str, Any] = {"type": "object"}


def tool(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": "call", "type": "tool", "tool": name, "arguments": arguments}


def part(workflow_id: str, **more: Any) -> dict[str, Any]:
    return {"id": "part", "type": "workflow", "workflow": workflow_id, "input": {"request": "x"}, **more}


async def refusals(system: System, *nodes: dict[str, Any]) -> list[str]:
    answer = await system.http.post(WORKFLOWS, json=a_definition(nodes=list(nodes), edges=[]))
    return [each["code"] for each in error(answer)["details"]["errors"]]


@pytest.mark.parametrize("name", ["delegate", "request_approval", "Task", "Write"])
async def test_a_tool_that_only_agents_can_call_is_no_node(shared: System, name: str) -> None:
    assert "tool_for_agents" in await refusals(shared, tool(name))


@pytest.mark.parametrize("name", ["delegate", "Task"])
async def test_nor_is_it_an_item_or_an_undoing(shared: System, name: str) -> None:
    done = {"type": "tool", "tool": name, "arguments": {}}
    assert "tool_for_agents" in await refusals(shared, {"id": "m", "type": "map", "over": "[1]", "node": done})
    assert "tool_for_agents" in await refusals(shared, {**ONE, "compensate": done})


async def test_an_agent_may_have_such_a_tool(shared: System) -> None:
    node = {"id": "a", "type": "agent", "agent": AGENT, "prompt": "p", "tools": ["delegate", "Write"]}
    workflow_id = await made(shared, [node], [])
    assert (await over(shared, await begun(shared, workflow_id)))["status"] == "completed"


async def test_a_tool_runs_under_its_alias(shared: System) -> None:
    workflow_id = await made(shared, [tool("Read", query="tea")], [])
    seen = await over(shared, await begun(shared, workflow_id))
    assert (seen["error"] or {}).get("code") != "TOOL_UNKNOWN"
    assert seen["nodes"][0]["attempts"] == 1


async def test_workflows_stand_inside_each_other_as_deep_as_they_run(shared: System) -> None:
    inner = await made(shared, [ONE], [])
    for _ in range(MOST_NESTED):
        inner = await made(shared, [part(inner)], [])
    assert (await over(shared, await begun(shared, inner)))["status"] == "completed"
    assert await refusals(shared, part(inner)) == ["flawed_workflow"]


@pytest.mark.parametrize("named", [{}, {"version": 1}])
async def test_a_retired_workflow_does_not_begin_as_a_node(shared: System, named: dict[str, int]) -> None:
    inner = await made(shared, [ONE], [])
    outer = await made(shared, [part(inner, **named)], [])
    each = {key: value for key, value in part(inner, **named).items() if key != "id"}
    listed = await made(shared, [{"id": "m", "type": "map", "over": "[1]", "node": each}], [])
    assert (await shared.http.delete(f"{WORKFLOWS}/{inner}")).status_code < 300
    for workflow_id in (outer, listed):
        seen = await over(shared, await begun(shared, workflow_id))
        assert (seen["status"], seen["error"]["code"]) == ("failed", "WORKFLOW_UNKNOWN")
        assert "retired" in seen["error"]["message"]
        assert seen["nodes"][0]["status"] == "skipped"


async def test_an_event_that_no_node_waits_for_is_refused_and_the_names_are_told(shared: System) -> None:
    workflow_id = await made(shared, [WAIT], [])
    run = await begun(shared, workflow_id)
    await at(shared, run, "wait")
    answer = await told(shared, run, "events", json={"name": "og", "payload": 1})
    assert answer.status_code == 422
    assert "it waits for go" in answer.text
    assert (await told(shared, run, "events", json={"name": "go"})).status_code == 202


async def test_defaults_inside_objects_and_lists_of_the_input_apply(shared: System) -> None:
    person = {"type": "object", "properties": {"name": {"type": "string"}, "title": {"default": "Dr."}}}
    declared = {
        "to": person,
        "others": {"type": "array", "items": person},
        "boss": {**person, "default": {"name": "B"}},
    }
    read = {"to": "input.to.title", "others": "input.others.map(p, p.title)", "boss": "input.boss.title"}
    node = {"id": "one", "type": "transform", "set": read}
    workflow_id = await made(shared, [node], [], input={**ANY, "properties": declared})
    given = {"to": {"name": "A"}, "others": [{"name": "C"}, {"title": "Ms."}]}
    seen = await over(shared, await begun(shared, workflow_id, input=given))
    assert seen["result"] == {"one": {"to": "Dr.", "others": ["Dr.", "Ms."], "boss": "Dr."}}

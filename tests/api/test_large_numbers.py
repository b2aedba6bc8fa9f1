"""Numbers that some readers and writers of JSON cannot hold do no harm, whichever route they come in by."""

from typing import Any

import orjson
import pytest

from tests.graphflow.test_api_executions import WAIT, WORKFLOWS, at, begun, made
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUMBERS = ["9223372036854775808", "18446744073709551615", "-9223372036854775809", "1" + "0" * 60, "1e300", "-0.0"]


def bodies(number: str) -> dict[str, str]:
    """By a path, a body with the number in places where anything may stand."""
    known = f'{{"n":{number},"deep":[{{"{number}":[{number}]}}]}}'
    agent = f'{{"name":"Counter","system_prompt":"Count.","temperature":{number}}}'
    loop = f'{{"from":"a","to":"a","max_visits":{number}}}'
    transform = '{"id":"a","type":"transform","set":{"b":"1"}}'
    return {
        CHAT: f'{{"agent_id":"{AGENT}","message":"Hi.","context":{known}}}',
        f"{CHAT}?project": f'{{"agent_id":"{AGENT}","message":"Hi.","context":{{"project_id":{number}}}}}',
        f"{CHAT}?timeout": f'{{"agent_id":"{AGENT}","message":"Hi.","timeout_s":{number}}}',
        "/api/v1/agents/ali/query": f'{{"query":"Hi?","context":{known}}}',
        "/api/v1/agents/ali/coordinate": f'{{"task":"Plan it.","context":{known},"budget_usd":{number}}}',
        "/api/v1/swarm/coordinate": f'{{"task":"Plan it.","agents":["{AGENT}"],"context":{known}}}',
        "/api/v1/swarm/coordinate?budget": f'{{"task":"Plan it.","agents":["{AGENT}"],"budget_usd":{number}}}',
        WORKFLOWS: f'{{"name":"W","nodes":[{transform}],"edges":[],"input":{{"type":"object","default":{known}}}}}',
        f"{WORKFLOWS}?max": f'{{"name":"W","nodes":[{transform}],"edges":[{loop}]}}',
        f"{WORKFLOWS}/import": f'{{"component":{known}}}',
        "/api/v1/agents": agent,
        "/api/v1/approvals/batch": f'{{"decisions":[{known}]}}',
    }


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:22])
@pytest.mark.parametrize("path", bodies("1"))
async def test_no_number_in_a_body_is_an_accident(
    shared: System, scripted_model: ScriptedModel, path: str, number: str
) -> None:
    answer = await shared.http.post(
        path, content=bodies(number)[path].encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:22])
async def test_a_run_takes_any_number_as_input_context_and_payload(shared: System, number: str) -> None:
    told = {
        "id": "told",
        "type": "transform",
        "set": {"x": "input.n", "y": "context.n", "z": "nodes.wait.output.payload"},
    }
    given = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
    workflow_id = await made(shared, [WAIT, told], [{"from": "wait", "to": "told"}], input=given)
    json = {"Content-Type": "application/json"}
    sent = f'{{"input":{{"n":{number}}},"context":{{"n":{number}}}}}'
    answer = await shared.http.post(f"{WORKFLOWS}/{workflow_id}/execute", content=sent.encode(), headers=json)
    assert answer.status_code == 202, answer.text
    run: dict[str, Any] = answer.json()
    await at(shared, run, "wait")
    path = f"{WORKFLOWS}/{workflow_id}/executions/{run['execution_id']}/events"
    heard = await shared.http.post(path, content=f'{{"name":"go","payload":{number}}}'.encode(), headers=json)
    assert heard.status_code == 202, heard.text
    status = f"{WORKFLOWS}/{workflow_id}/status?execution_id={run['execution_id']}"
    seen = await until(lambda: shared.http.get(status), lambda it: it.json()["status"] not in {"running", "pending"})
    assert seen.json()["status"] == "completed", seen.text
    assert set(orjson.loads(seen.content)["result"]["told"].values()) == {float(number)}


@pytest.mark.parametrize(
    "until_", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "x"]
)
async def test_a_wait_until_a_moment_that_no_clock_has_is_a_failed_node_or_a_wait(shared: System, until_: str) -> None:
    wait = {"id": "wait", "type": "wait", "until": "{{ input.until }}"}
    given = {"type": "object", "properties": {"until": {"type": "string"}}, "required": ["until"]}
    workflow_id = await made(shared, [wait], [], input=given)
    run = await begun(shared, workflow_id, input={"until": until_})
    path = f"{WORKFLOWS}/{workflow_id}/status?execution_id={run['execution_id']}"
    seen = await until(
        lambda: shared.http.get(path),
        lambda it: it.json()["status"] != "running" or "wait" in it.json()["current_nodes"],
    )
    expected = "running" if until_.endswith("Z") else "failed"
    assert seen.json()["status"] == expected, seen.text

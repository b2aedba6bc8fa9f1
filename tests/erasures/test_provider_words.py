"""What a provider says about a failed call may quote the prompt: it is in no event, no view and no history."""

from uuid import uuid4

import pytest

from tests.erasures.stage import places
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

STATUSES = (400, 401, 402, 404, 413, 422, 429, 500, 503)


@pytest.mark.parametrize("status", STATUSES)
async def test_a_chat_whose_provider_quotes_the_prompt_keeps_only_the_message(
    shared: System, scripted_model: ScriptedModel, status: int
) -> None:
    mark = f"mark{uuid4().hex}"
    scripted_model.script({"status": status, "error": {"message": f"bad prompt: {mark}", "code": mark}, "times": 20})
    answer = await shared.say(f"Keep {mark}.")
    assert answer.status_code >= 400
    assert mark not in answer.text
    assert [place.partition(":")[0] for place in await places(shared, mark)] == ["content.body"]
    scripted_model.reset()


async def test_a_swarm_and_an_execution_whose_provider_quotes_them_keep_only_their_texts(
    shared: System, scripted_model: ScriptedModel
) -> None:
    mark = f"mark{uuid4().hex}"
    scripted_model.script({"status": 400, "error": f"bad prompt: {mark}", "times": 50})
    task = {"task": mark, "agents": [AGENT, "amy_cfo"], "coordination_mode": "parallel"}
    swarm = await shared.http.post("/api/v1/swarm/coordinate", json=task)
    node = {"id": "a", "type": "agent", "agent": AGENT, "prompt": "{{ input.request }}"}
    odd = {"id": "b", "type": "transform", "set": {"n": "int(input.request)"}, "on_error": "continue"}
    definition = {"name": f"n{uuid4().hex}", "nodes": [odd, node], "edges": [{"from": "b", "to": "a"}]}
    created = await shared.http.post("/api/v1/workflows", json=definition)
    assert created.status_code == 201, created.text
    run = await shared.http.post(f"/api/v1/workflows/{created.json()['id']}/execute", json={"input": {"request": mark}})
    assert run.status_code == 202, run.text
    for location in (swarm.headers["location"], run.headers["location"]):
        done = await until(
            lambda location=location: shared.http.get(location),
            lambda answer: answer.json()["status"] in {"failed", "completed"},
            seconds=90,
        )
        assert done.json()["status"] == "failed", done.text
    assert [place.partition(":")[0] for place in await places(shared, mark)] == ["content.body"]
    scripted_model.reset()

"""Tasks whose agents Ali chooses: by the model, by the stated rule, or not at all."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from domain.chat.steps import UNUSABLE
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCEPTED = 202
COORDINATE = "/api/v1/agents/ali/coordinate"
SWARM = "/api/v1/swarm/status"
TASK = "Prepare the quarterly budget and forecast for the board"
SHAPE = "ali_team_5"
MEMBERS = ["amy_cfo", "omri_data_scientist"]


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def begun(shared: System, scripted_model: ScriptedModel) -> AsyncIterator[list[str]]:
    """The tasks that a test begins: over before the next one, whose scripted answers they would take."""
    tasks: list[str] = []

    async def remember(answer: httpx.Response) -> None:
        if answer.request.url.path == COORDINATE and answer.status_code == ACCEPTED:
            tasks.append(orjson.loads(await answer.aread())["task_id"])

    shared.http.event_hooks = {"response": [remember]}
    yield tasks
    shared.http.event_hooks = {}
    for task in tasks:
        await over(shared, task)


def choosing(**changes: Any) -> dict[str, Any]:
    """A rule by which the provider chooses a team."""
    rule = {name: changes.pop(name) for name in ("times", "delay_s") if name in changes}
    team = {"members": MEMBERS, "mode": "sequential", "coordinator": None, "rationale": "Money and figures."}
    return {"shape": f"ali_team_{changes.pop('most', 5)}", "text": json.dumps({**team, **changes}), **rule}


async def order(system: System, task: str = TASK, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return await system.http.post(COORDINATE, json={"task": task, **more}, headers=headers)


async def ordered(system: System, task: str = TASK, **more: Any) -> dict[str, Any]:
    response = await order(system, task, **more)
    assert response.status_code == 202, response.text
    return dict(response.json())


async def over(system: System, task_id: str) -> dict[str, Any]:
    """The swarm once it has ended."""
    ended = await until(
        lambda: system.http.get(f"{SWARM}/{task_id}"),
        lambda it: it.json()["status"] not in {"pending", "running"},
        seconds=30,
    )
    return dict(ended.json())


async def test_the_model_chooses_who_works_on_it_and_how(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(choosing())
    response = await order(shared)
    assert response.status_code == 202
    made = response.json()
    assert response.headers["location"] == f"{SWARM}/{made['task_id']}"
    assert (made["chosen_by"], made["rationale"], made["mode"]) == ("model", "Money and figures.", "sequential")
    assert (made["members"], made["coordinator_id"]) == (MEMBERS, AGENT)
    ended = await over(shared, made["task_id"])
    assert ended["status"] == "completed"
    assert [agent["agent_id"] for agent in ended["agents"]] == MEMBERS
    assert set(made) == {*ended, "rationale", "chosen_by", "session_id"}


async def test_the_model_reads_first_of_those_who_fit_best_and_is_offered_no_tool(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(choosing())
    made = await ordered(shared, context={"department": "finance", "project_id": 7})
    request = scripted_model.requests()[0]
    told = request["messages"][-1]["content"]
    agents = {agent["id"] for agent in (await shared.http.get("/api/v1/agents")).json()["agents"]}
    listed = [line[2:].partition(":")[0] for line in told.splitlines() if line.startswith("- ")]
    assert listed[7:9] == ["amy_cfo", "steve_executive_communication_strategist"], "after the seven modes"
    assert len(listed) > 25, "as many as the model's window holds"
    assert AGENT not in listed
    schema = request["response_format"]["json_schema"]["schema"]
    assert {*schema["properties"]["members"]["items"]["enum"], AGENT} == agents
    assert TASK in told
    assert told.endswith('{"department":"finance"}')
    assert "tools" not in request
    assert made["project_id"] == "7"
    session = await shared.session(made["session_id"])
    assert [turn["message"] for turn in session["turns"]] == [told], "what was really asked can be read"


async def test_a_named_coordinator_coordinates(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(choosing(coordinator="davide_project_manager", mode="parallel"))
    assert (await ordered(shared))["coordinator_id"] == "davide_project_manager"


async def test_a_mode_that_is_asked_for_stands(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(choosing(mode="vote"))
    assert (await ordered(shared, mode="debate"))["mode"] == "debate"


async def test_a_choice_that_is_put_right_counts(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(choosing(members=["amy_cfo", "somebody"]), choosing(coordinator="amy_cfo"), choosing())
    made = await ordered(shared)
    assert (made["chosen_by"], made["members"]) == ("model", MEMBERS)
    assert len(await shared.calls(session_id=made["session_id"])) == 3


async def test_where_the_choice_stays_wrong_the_rule_chooses_and_says_so(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(choosing(members=["amy_cfo"], times=None))
    made = await ordered(shared)
    assert (made["chosen_by"], made["mode"], made["members"][0]) == ("rule", "collaborative", "amy_cfo")
    assert 2 <= len(made["members"]) <= 5
    assert made["rationale"].startswith(f"A rule chose this team, not the model: {UNUSABLE} 3 times.")
    assert "amy_cfo (forecast, budget)" in made["rationale"]
    assert len(await shared.calls(session_id=made["session_id"])) == 3
    assert (await over(shared, made["task_id"]))["status"] == "completed"


async def test_where_the_model_is_down_nothing_is_started(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"status": 401, "times": None})
    response = await order(shared)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_ERROR")
    assert len(scripted_model.requests()) == 1


async def test_the_same_key_gives_the_same_session_choice_and_task(
    shared: System, scripted_model: ScriptedModel
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    scripted_model.script({"status": 401}, choosing(mode="parallel"), choosing(members=["amy_cfo", "oliver_pm"]))
    assert (await order(shared, headers=headers)).status_code == 502
    first = await order(shared, headers=headers)
    again = await order(shared, headers=headers)
    forgotten = await _without_kept_answers(shared, headers)
    for name in ("task_id", "session_id", "members", "mode", "rationale", "chosen_by"):
        assert again.json()[name] == forgotten[name] == first.json()[name]
    status = (await over(shared, first.json()["task_id"]))["status"]
    assert (await order(shared, headers=headers)).json()["status"] == status != first.json()["status"]


async def test_what_the_rule_chose_is_not_asked_again(shared: System, scripted_model: ScriptedModel) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    scripted_model.script(choosing(mode="brainstorm", times=3), choosing())
    first = await ordered(shared, headers=headers)
    assert first["chosen_by"] == "rule"
    await over(shared, first["task_id"])
    forgotten = await _without_kept_answers(shared, headers)
    for name in ("task_id", "session_id", "members", "mode", "rationale", "chosen_by"):
        assert forgotten[name] == first[name]
    assert len(await shared.calls(session_id=first["session_id"])) == 3


async def _without_kept_answers(system: System, headers: dict[str, str]) -> dict[str, Any]:
    """Order again, as after a day: the first answer is not kept any more."""
    with system.parts.database.connection() as connection:
        connection.execute(b"DELETE FROM http_idempotency")
    return await ordered(system, headers=headers)


async def test_the_swarm_has_the_bounds_that_were_asked_for(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(choosing(most=2))
    deadline = datetime.now(UTC) + timedelta(hours=1)
    made = await ordered(
        shared, max_agents=2, deadline=deadline.isoformat(), budget_usd=0.5, require_approval=True, mode="parallel"
    )
    assert (made["budget_usd"], made["require_approval"]) == (0.5, True)
    assert datetime.fromisoformat(made["timings"]["deadline"]) == deadline
    held = await over(shared, made["task_id"])
    assert held["status"] == "awaiting_approval"
    approved = await shared.decide(held["approval_id"], "approve")
    assert approved.status_code == 200, approved.text
    done = await until(
        lambda: shared.http.get(f"{SWARM}/{made['task_id']}"), lambda it: it.json()["status"] == "completed"
    )
    assert done.json()["result"]


@pytest.mark.parametrize(
    "changes",
    [
        {"task": " "},
        {"max_agents": 1},
        {"max_agents": 11},
        {"mode": "brainstorm"},
        {"deadline": "2020-01-01T00:00:00Z"},
        {"budget_usd": 0},
        {"agents": ["amy_cfo"]},
    ],
    ids=str,
)
async def test_a_task_that_cannot_be_is_refused_before_anything_is_paid(
    shared: System, scripted_model: ScriptedModel, changes: dict[str, Any]
) -> None:
    response = await shared.http.post(COORDINATE, json={"task": TASK, **changes})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert scripted_model.requests() == []

"""Swarms over HTTP, on the whole system with a scripted provider."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel
from tests.swarm.talk import (
    AMY,
    ANTONIO,
    AVA,
    CHIEF,
    MEMBERS,
    SWARM,
    ballot,
    coordinate,
    done,
    handing,
    in_batches,
    listing,
    over,
    said,
    seats_on_the_bill,
    splitting,
    status,
    voting,
)
from tests.system import OF_ACME, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEADER = f"coordinator/{CHIEF}"
ALL = set(MEMBERS)
SCRIPT = [
    splitting((AMY, "Count it."), (ANTONIO, "Plan it."), (AVA, "Measure it.")),
    listing("Stay.", "Go."),
    voting(ANTONIO, "option_2"),
    voting(AVA, "option_1"),
    voting(AMY, "option_2"),
    said("Make one result of it", "All in one."),
    said("You are the judge", "So be it."),
]
ORDERS: dict[str, list[set[str]]] = {
    "collaborative": [ALL, ALL, {LEADER}],
    "sequential": [{ANTONIO}, {AVA}, {AMY}],
    "parallel": [ALL, {LEADER}],
    "hierarchical": [{LEADER}, ALL, {LEADER}],
    "debate": [ALL, ALL, {LEADER}],
    "vote": [ALL, {LEADER}, ALL],
}
RESULTS = {
    "collaborative": "All in one.",
    "sequential": "I have seen 2 messages.",
    "parallel": "All in one.",
    "hierarchical": "All in one.",
    "debate": "So be it.",
    "vote": "Go.\n\nThis is option_2, decided by a majority of the votes. Votes: option_1: 1, option_2: 2;",
}


@pytest.mark.parametrize("mode", ORDERS)
async def test_turns_are_taken_in_the_order_of_the_mode(
    shared: System, scripted_model: ScriptedModel, mode: str
) -> None:
    scripted_model.script(*SCRIPT)
    swarm = await done(shared, mode)
    assert (swarm["status"], swarm["progress"], swarm["partial"], swarm["error"]) == ("completed", 1.0, False, None)
    seats = await seats_on_the_bill(shared, scripted_model, swarm["task_id"])
    assert in_batches(seats, [len(batch) for batch in ORDERS[mode]]) == ORDERS[mode]
    assert swarm["result"].startswith(RESULTS[mode])
    assert [agent["agent_id"] for agent in swarm["agents"]] == MEMBERS
    assert {agent["status"] for agent in swarm["agents"]} == {"completed"}
    assert all(agent["contribution"] for agent in swarm["agents"])
    calls = await shared.calls(workflow_id=swarm["task_id"])
    assert_books_agree(calls, scripted_model.bill())
    assert swarm["turns"] == len(calls) == sum(agent["turns"] for agent in [*swarm["agents"], swarm["coordinator"]])
    assert swarm["tokens"] == sum(call["total_tokens"] for call in calls)


async def test_work_is_handed_from_one_to_the_other_until_somebody_finishes(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(
        handing(ANTONIO, "A start.", AMY), handing(AMY, "Figures.", ANTONIO), handing(ANTONIO, "All of it.", "finish")
    )
    swarm = await done(shared, "handoff")
    assert await seats_on_the_bill(shared, scripted_model, swarm["task_id"]) == [ANTONIO, AMY, ANTONIO]
    assert (swarm["status"], swarm["result"]) == ("completed", "All of it.")
    contributions = {agent["agent_id"]: (agent["status"], agent["contribution"]) for agent in swarm["agents"]}
    assert contributions == {
        ANTONIO: ("completed", "All of it."),
        AVA: ("skipped", None),
        AMY: ("completed", "Figures."),
    }


async def test_an_answer_that_the_plan_cannot_read_is_put_right(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(
        said("Split it into parts", {"parts": [{"member": "nobody", "task": "?"}]}, times=1),
        said("The answer cannot be used", {"parts": [{"member": AVA, "task": "Measure it."}]}),
        said("Make one result of it", "Measured."),
    )
    swarm = await done(shared, "hierarchical")
    seats = await seats_on_the_bill(shared, scripted_model, swarm["task_id"])
    assert seats == [LEADER, LEADER, AVA, LEADER]
    assert (swarm["status"], swarm["result"], swarm["turns"]) == ("completed", "Measured.", 3)


async def test_a_tie_is_decided_by_the_coordinator(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(
        listing("Stay.", "Go."),
        voting(ANTONIO, "option_2"),
        voting(AVA, "option_1"),
        said("Decide: choose one of the options", ballot("option_1")),
    )
    swarm = await done(shared, "vote", agents=[ANTONIO, AVA])
    assert "decided by the coordinator ali_chief_of_staff, because nobody had a majority" in swarm["result"]
    assert swarm["result"].endswith("The coordinator's reason: It is the best.")


async def test_members_read_what_the_task_and_its_context_say(shared: System, scripted_model: ScriptedModel) -> None:
    context = {"project_id": 7, "market": "Norway", "user_id": "ada"}
    swarm = await done(shared, "sequential", agents=[ANTONIO, AVA], task="Enter it.", context=context)
    first, second = (request["messages"][-1]["content"] for request in scripted_model.requests())
    assert first.startswith(f"You work on a task together with {AVA}. You are {ANTONIO}.\n\nThe task:\nEnter it.")
    assert 'as JSON:\n{"market":"Norway"}' in first
    assert f"### {ANTONIO} wrote:\nI have seen 2 messages." in second
    assert swarm["project_id"] == "7"
    assert {call["project_id"] for call in await shared.calls(workflow_id=swarm["task_id"])} == {"7"}


async def test_a_member_that_fails_is_reported_and_the_rest_goes_on(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(said(f"You are {AVA}.", status=401))
    swarm = await done(shared, "parallel")
    assert swarm["status"] == "completed"
    failed = swarm["agents"][1]
    assert (failed["status"], failed["error"]["code"], failed["contribution"]) == ("failed", "UPSTREAM_ERROR", None)
    told = scripted_model.requests()[-1]["messages"][-1]["content"]
    assert f"Nothing came from {AVA}." in told


async def test_a_coordinator_that_fails_leaves_what_the_members_said(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(said("Make one result of it", status=401))
    swarm = await done(shared, "parallel")
    assert (swarm["status"], swarm["partial"]) == ("failed", True)
    assert swarm["error"] == {"code": "UPSTREAM_ERROR", "message": f"the coordinator {CHIEF} failed"}
    assert all(f"## {member}\n\nI have seen" in swarm["result"] for member in MEMBERS)
    assert swarm["progress"] < 1


async def test_a_swarm_of_which_all_members_fail_has_failed(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said("You are", status=401))
    swarm = await done(shared, "debate")
    assert (swarm["status"], swarm["partial"], swarm["result"]) == ("failed", False, None)
    assert {agent["status"] for agent in swarm["agents"]} == {"failed"}
    assert swarm["coordinator"]["status"] == "skipped"


async def test_at_the_deadline_what_was_finished_is_the_partial_result(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(said(f"You are {AMY}.", delay_s=30))
    deadline = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    swarm = await done(shared, "parallel", deadline=deadline)
    assert (swarm["status"], swarm["partial"]) == ("deadline_exceeded", True)
    assert [agent["status"] for agent in swarm["agents"]] == ["completed", "completed", "cancelled"]
    assert f"## {ANTONIO}" in swarm["result"]
    assert f"## {AMY}" not in swarm["result"]
    assert swarm["error"]["code"] == "DEADLINE_EXCEEDED"
    states = {call["agent_id"]: call["state"] for call in await shared.calls(workflow_id=swarm["task_id"])}
    assert states == {ANTONIO: "settled", AVA: "settled", AMY: "unknown"}


async def test_a_swarm_can_be_cancelled_and_that_again(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said(f"You are {AVA}.", delay_s=30))
    task_id = (await coordinate(shared, "sequential"))["task_id"]
    await until(lambda: status(shared, task_id), lambda it: it["agents"][1]["status"] == "running")
    response = await shared.http.post(f"{SWARM}/{task_id}/cancel")
    assert response.status_code == 202, response.text
    swarm = await over(shared, task_id)
    assert (swarm["status"], swarm["partial"]) == ("cancelled", True)
    assert swarm["result"] == swarm["agents"][0]["contribution"]
    assert [agent["status"] for agent in swarm["agents"]] == ["completed", "cancelled", "skipped"]
    again = await shared.http.post(f"{SWARM}/{task_id}/cancel")
    assert (again.status_code, again.json()["status"]) == (202, "cancelled")


async def test_a_swarm_that_is_over_cannot_be_cancelled(shared: System, scripted_model: ScriptedModel) -> None:
    swarm = await done(shared, "parallel")
    response = await shared.http.post(f"{SWARM}/{swarm['task_id']}/cancel")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")
    assert response.json()["error"]["details"]["status"] == "completed"


async def test_a_run_that_is_cancelled_in_temporal_ends_right(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said("You are", delay_s=30))
    task_id = (await coordinate(shared, "debate"))["task_id"]
    await scripted_model.until(lambda bill: len(bill) == 3)
    await shared.temporal.get_workflow_handle(task_id).cancel()
    swarm = await over(shared, task_id)
    assert (swarm["status"], swarm["error"]["message"]) == ("cancelled", "its workflow was cancelled")
    described = await until(shared.temporal.get_workflow_handle(task_id).describe, lambda it: it.close_time is not None)
    assert described.status is not None
    assert described.status.name == "CANCELED"
    assert {agent["status"] for agent in swarm["agents"]} == {"cancelled"}


def body(**more: Any) -> dict[str, Any]:
    return {"task": "Find a way.", "agents": MEMBERS, **more}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"agents": [ANTONIO, "nobody_at_all"]}, "agents.1"),
        ({"agents": [ANTONIO, AVA, ANTONIO]}, "agents.2"),
        ({"agents": ["ava_analytics_virtuoso", "ava_analytics_insights_virtuoso"]}, "agents.1"),
        ({"agents": []}, "agents"),
        ({"agents": [f"agent_{number}" for number in range(21)]}, "agents"),
        ({"coordination_mode": "shouting"}, "coordination_mode"),
        ({"coordinator": "nobody_at_all"}, "coordinator"),
        ({"deadline": "2020-01-01T00:00:00Z"}, "deadline"),
        ({"deadline": "tomorrow"}, "deadline"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "deadline"),
        ({"deadline": "9999-12-31T23:59:59.999999-00:01"}, "deadline"),
        ({"deadline": "0001-01-01T00:00:00+14:00"}, "deadline"),
        ({"deadline": "0001-01-01T00:00:00Z"}, "deadline"),
        ({"rounds": 6}, "rounds"),
        ({"budget_usd": 0}, "budget_usd"),
        ({"task": "  "}, "task"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(
    shared: System, scripted_model: ScriptedModel, wrong: dict[str, Any], field: str
) -> None:
    response = await shared.http.post(f"{SWARM}/coordinate", json=body(**wrong))
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR"), response.text
    assert response.json()["error"]["details"]["field"] == field


@pytest.mark.parametrize(
    "deadline", ["9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59+14:00", "2262-04-12T00:00:00Z"]
)
async def test_a_deadline_may_be_as_far_as_the_calendar_goes(
    shared: System, scripted_model: ScriptedModel, deadline: str
) -> None:
    swarm = await done(shared, "parallel", agents=[ANTONIO], deadline=deadline)
    assert swarm["status"] == "completed"


async def test_a_repeat_after_the_start_tells_how_the_swarm_stands(
    shared: System, scripted_model: ScriptedModel
) -> None:
    headers, asked = {"Idempotency-Key": "told-again"}, body(coordination_mode="parallel", agents=[ANTONIO])
    first = await shared.http.post(f"{SWARM}/coordinate", json=asked, headers=headers)
    assert first.status_code == 202
    task_id = first.json()["task_id"]
    await until(
        lambda: shared.http.get(f"{SWARM}/status/{task_id}"),
        lambda seen: seen.json()["status"] == "completed",
        seconds=30,
    )
    again = await shared.http.post(f"{SWARM}/coordinate", json=asked, headers=headers)
    assert (again.status_code, again.json()["task_id"], again.json()["status"]) == (202, task_id, "completed")


async def test_an_alias_stands_for_its_agent_and_ali_coordinates_unless_named(
    shared: System, scripted_model: ScriptedModel
) -> None:
    begun = await coordinate(shared, agents=["ava_analytics_insights_virtuoso"])
    assert (begun["members"], begun["coordinator_id"]) == ([AVA], CHIEF)
    named = await coordinate(shared, coordinator=AMY)
    assert named["coordinator_id"] == AMY
    swarm = await over(shared, named["task_id"])
    assert swarm["coordinator"]["turns"] == 1
    assert await seats_on_the_bill(shared, scripted_model, named["task_id"])


async def test_the_same_key_joins_the_swarm_that_was_started(shared: System, scripted_model: ScriptedModel) -> None:
    headers = {"Idempotency-Key": "once-and-for-all"}
    responses = await asyncio.gather(
        *(shared.http.post(f"{SWARM}/coordinate", json=body(), headers=headers) for _ in range(3))
    )
    assert {response.status_code for response in responses} == {202}
    [task_id] = {response.json()["task_id"] for response in responses}
    await over(shared, task_id)
    assert len(await shared.calls(workflow_id=task_id)) == 7


async def test_a_swarm_is_its_tenants_own(shared: System, scripted_model: ScriptedModel) -> None:
    mine = (await coordinate(shared))["task_id"]
    theirs = (await coordinate(shared, headers=OF_ACME))["task_id"]
    for path, headers in ((theirs, {}), (mine, OF_ACME), ("task_nothing", {}), ("chat-x", {})):
        response = await shared.http.get(f"{SWARM}/status/{path}", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert (await shared.http.post(f"{SWARM}/{theirs}/cancel")).status_code == 404
    listed = (await shared.http.get(SWARM)).json()["data"]
    assert theirs not in {swarm["task_id"] for swarm in listed}
    await over(shared, mine)


async def test_swarms_are_listed_newest_first_and_filtered(shared: System, scripted_model: ScriptedModel) -> None:
    older = await done(shared, "sequential", agents=["omri_data_scientist"])
    newer = await done(shared, "parallel", agents=["jony_creative_director"], coordinator="omri_data_scientist")

    async def found(**asked: Any) -> list[str]:
        response = await shared.http.get(SWARM, params=asked)
        assert response.status_code == 200, response.text
        return [swarm["task_id"] for swarm in response.json()["data"]]

    assert (await found())[:2] == [newer["task_id"], older["task_id"]]
    assert await found(agent_id="omri_data_scientist") == [newer["task_id"], older["task_id"]]
    assert await found(agent_id="omri_data_scientist", mode="sequential") == [older["task_id"]]
    assert await found(agent_id="omri_data_scientist", status="failed") == []
    assert await found(agent_id="omri_data_scientist", skip=1, limit=1) == [older["task_id"]]
    response = await shared.http.get(SWARM, params={"agent_id": "omri_data_scientist", "limit": 1})
    assert response.json()["pagination"] == {"total": 2, "skip": 0, "limit": 1, "has_next": True, "has_prev": False}
    assert "result" not in response.json()["data"][0]


async def test_times_and_costs_are_told(shared: System, scripted_model: ScriptedModel) -> None:
    swarm = await done(shared, "sequential", agents=[ANTONIO], deadline="2999-01-01T00:00:00Z", budget_usd=1.5)
    timings = swarm["timings"]
    assert timings["requested_at"] <= timings["started_at"] <= timings["ended_at"]
    assert timings["deadline"] == "2999-01-01T00:00:00Z"
    assert timings["duration_s"] > 0
    assert (swarm["budget_usd"], swarm["cost"], swarm["workflow_id"]) == (1.5, 0.0, swarm["task_id"])
    assert Decimal(str(swarm["agents"][0]["cost"])) == 0


async def test_the_web_ui_tells_how_far_it_is(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(said(f"You are {AVA}.", delay_s=2))
    task_id = (await coordinate(shared, "sequential"))["task_id"]
    await until(lambda: status(shared, task_id), lambda it: it["agents"][1]["status"] == "running")
    handle = shared.temporal.get_workflow_handle(task_id)
    metadata = await handle.query("__temporal_workflow_metadata")
    details = metadata["currentDetails"] if isinstance(metadata, dict) else metadata.current_details
    assert "**sequential** · stage: work · 1 of 3 turns at most" in details
    assert f"| {ANTONIO} | 1 | completed |" in details
    assert f"| {AVA} | 1 | is working |" in details
    described = await handle.describe()
    assert await described.static_summary() == f"Swarm, sequential: {', '.join(MEMBERS)}"
    await over(shared, task_id)

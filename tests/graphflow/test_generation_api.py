"""Workflows from a description, against the whole system: drawn, put right, refused, rehearsed."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.scripted_model import ScriptedModel
from tests.system import System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

GENERATE = "/api/v1/workflows/generate"
WORKFLOWS = "/api/v1/workflows"
DESCRIPTION = "Handle support tickets of our customers from arrival to answer."
REQUIREMENTS = [
    "Categorise each ticket by type",
    "Tell urgent tickets apart",
    "Route security matters to a security expert",
    "Have urgent answers weighed by two people",
    "Write an answer",
    "Let a person approve the answer",
    "Write the answer again if it is sent back",
    "Track the time until resolution",
]


def a_drawing(name: str = "") -> dict[str, Any]:
    """A valid answer that meets seven of the eight requirements."""
    nodes = [
        {
            "id": "sort",
            "type": "agent",
            "agent": "andrea_customer_success_manager",
            "prompt": "Sort this ticket: {{ input.request }}",
            "output": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": ["usage", "security"]},
                    "urgent": {"type": "boolean"},
                },
                "required": ["kind", "urgent"],
            },
        },
        {
            "id": "security",
            "type": "agent",
            "agent": "luca_security_expert",
            "prompt": "What is the risk? {{ input.request }}",
        },
        {
            "id": "weigh",
            "type": "swarm",
            "agents": ["oliver_pm", "marcus_pm"],
            "mode": "debate",
            "task": "{{ input.request }}",
        },
        {
            "id": "answer",
            "type": "agent",
            "agent": "andrea_customer_success_manager",
            "max_visits": 3,
            "prompt": (
                "Answer: {{ input.request }} {{ has(nodes.security.output) ? nodes.security.output : '' }}"
                " {{ has(nodes.weigh.output) ? nodes.weigh.output : '' }}"
                " {{ has(nodes.approve.output) ? nodes.approve.output.comment : '' }}"
            ),
        },
        {"id": "approve", "type": "approval", "title": "Send it?", "content": "{{ nodes.answer.output }}"},
        {"id": "sent", "type": "transform", "set": {"answer": "nodes.approve.output.content"}},
        {"id": "left", "type": "transform", "set": {"draft": "nodes.answer.output"}},
    ]
    edges = [
        {"from": "sort", "to": "security", "when": "nodes.sort.output.kind == 'security'"},
        {"from": "sort", "to": "weigh", "when": "nodes.sort.output.urgent"},
        {"from": "sort", "to": "answer"},
        {"from": "security", "to": "answer"},
        {"from": "weigh", "to": "answer"},
        {"from": "answer", "to": "approve"},
        {"from": "approve", "to": "sent", "when": "nodes.approve.output.approved"},
        {"from": "approve", "to": "answer", "when": "!nodes.approve.output.approved && visit < 3"},
        {"from": "approve", "to": "left", "otherwise": True},
    ]
    met = ["sort", "sort", "security", "weigh", "answer", "approve", "answer"]
    traced = [{"requirement": n, "nodes": [node], "met": True, "how": f"{node} does"} for n, node in enumerate(met, 1)]
    lost = {"requirement": 8, "nodes": [], "met": False, "how": "No node can tell the time."}
    definition = {"name": name or f"Tickets {uuid4().hex[:12]}", "nodes": nodes, "edges": edges}
    return {"definition": definition, "requirements": [*traced, lost]}


def broken() -> dict[str, Any]:
    """An answer that names an agent who is not there, and leaves a node that nothing leads to."""
    answer = a_drawing()
    answer["definition"]["nodes"][1]["agent"] = "luca_security_expertt"
    answer["definition"]["edges"] = [edge for edge in answer["definition"]["edges"] if edge["to"] != "left"]
    answer["definition"]["nodes"].append({"id": "island", "type": "transform", "set": {"a": "1"}})
    answer["definition"]["edges"].append({"from": "island", "to": "island", "when": "visit < 2"})
    return answer


def says(answer: dict[str, Any] | str, **more: Any) -> dict[str, Any]:
    """A rule by which the provider draws."""
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return {"shape": "graphflow_design", "text": text, **more}


async def generate(system: System, **more: Any) -> httpx.Response:
    headers, params = more.pop("headers", {}), more.pop("params", {})
    body = {"description": DESCRIPTION, "requirements": REQUIREMENTS, **more}
    return await system.http.post(GENERATE, json=body, headers=headers, params=params)


async def kept(system: System) -> int:
    return int((await system.http.get(WORKFLOWS, params={"limit": 1})).json()["total"])


async def settled(system: System, session_id: str) -> list[dict[str, Any]]:
    """The calls of a session in the books, once none is open."""
    return await until(
        lambda: system.calls(session_id=session_id),
        lambda calls: bool(calls) and all(call["state"] == "settled" for call in calls),
    )


async def test_the_third_answer_is_right_and_all_three_are_booked(
    shared: System, scripted_model: ScriptedModel
) -> None:
    right = a_drawing()
    scripted_model.script(says("I would begin with sorting the tickets."), says(broken()), says(right))
    answer = await generate(shared)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["attempts"] == 3
    assert answer.headers["location"] == f"{WORKFLOWS}/{made['id']}"
    assert (made["version"], made["status"], made["steps"]) == (1, "active", 7)
    assert made["definition"] == (await shared.http.get(answer.headers["location"])).json()["definition"]
    assert made["definition"]["nodes"] == right["definition"]["nodes"]
    assert made["mermaid"].startswith("flowchart")
    assert made["validation"]["valid"]
    assert made["validation"]["worst_case_model_calls"] >= 3
    assert [(each["number"], each["requirement"]) for each in made["requirements"]] == [*enumerate(REQUIREMENTS, 1)]
    assert [each["met"] for each in made["requirements"]] == [True] * 7 + [False]
    assert all(each["nodes"] for each in made["requirements"] if each["met"])
    assert made["requirements"][7]["how"] == "No node can tell the time."
    calls = await settled(shared, made["session_id"])
    assert len(calls) == 3
    assert made["usage"]["total_tokens"] == sum(call["total_tokens"] for call in calls)
    assert made["rehearsal"] is None


async def test_the_model_is_told_what_is_wrong_where_and_what_to_do(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(says("No JSON."), says(broken()), says(a_drawing()))
    assert (await generate(shared)).status_code == 201
    first, second, third = scripted_model.requests()
    asked = first["messages"][-1]["content"]
    assert DESCRIPTION in asked
    assert all(f"{number}. {each}" in asked for number, each in enumerate(REQUIREMENTS, 1))
    agents = {agent["id"] for agent in (await shared.http.get("/api/v1/agents")).json()["agents"]}
    assert all(agent in asked for agent in agents), "every agent is named"
    assert "tools" not in first
    assert "not JSON" in second["messages"][-1]["content"]
    told = third["messages"][-1]["content"]
    assert "node security, agent: there is no agent luca_security_expertt" in told
    assert "Did you mean luca_security_expert" in told
    assert "node island" in told


async def test_an_answer_that_stays_wrong_is_refused_and_nothing_is_kept(
    shared: System, scripted_model: ScriptedModel
) -> None:
    before = await kept(shared)
    scripted_model.script(says(broken(), times=None))
    answer = await generate(shared)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_ERROR"
    assert error["details"]["attempts"] == 3
    told = {(each["code"], each["where"]) for each in error["details"]["errors"]}
    assert ("unknown_agent", "node security") in told
    assert len(await settled(shared, error["details"]["session_id"])) == 3
    assert await kept(shared) == before


async def test_a_requirement_that_is_passed_over_is_asked_for(shared: System, scripted_model: ScriptedModel) -> None:
    short, wrong = a_drawing(), a_drawing()
    del short["requirements"][7]
    wrong["requirements"][0]["nodes"] = ["nobody"]
    scripted_model.script(says(short), says(wrong), says(a_drawing()))
    made = (await generate(shared)).json()
    assert made["attempts"] == 3
    told = [request["messages"][-1]["content"] for request in scripted_model.requests()[1:]]
    assert "requirement 8: it is not traced" in told[0]
    assert "requirement 1: there is no node nobody" in told[1]


async def test_a_window_without_room_for_another_try_ends_it(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("I would begin with the tickets. " * 1_000, times=None))
    answer = await generate(shared, description="There are many kinds of tickets. " * 150)
    details = answer.json()["error"]["details"]
    assert (answer.status_code, details["attempts"]) == (422, 2)
    assert [each["code"] for each in details["errors"]] == ["no_json"]
    assert len(scripted_model.requests()) == 2


async def test_an_answer_that_was_cut_is_told_to_be(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says(json.dumps(a_drawing())[:500], times=None))
    error = (await generate(shared)).json()["error"]
    assert error["details"]["attempts"] == 3
    assert [each["code"] for each in error["details"]["errors"]] == ["cut"]
    assert "CONVERGIO_MAX_ANSWER_TOKENS" in error["message"]


async def test_where_the_model_is_down_nothing_is_kept(shared: System, scripted_model: ScriptedModel) -> None:
    before = await kept(shared)
    scripted_model.script({"status": 401, "times": None})
    answer = await generate(shared)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "UPSTREAM_ERROR")
    assert await kept(shared) == before


async def test_the_same_key_draws_and_keeps_once(shared: System, scripted_model: ScriptedModel) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    scripted_model.script({"status": 401}, says(a_drawing()), says(a_drawing()))
    assert (await generate(shared, headers=headers)).status_code == 502
    first = await generate(shared, headers=headers)
    assert first.status_code == 201
    again = await generate(shared, headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    with shared.parts.database.connection() as connection:
        connection.execute(b"DELETE FROM http_idempotency")
    forgotten = await generate(shared, headers=headers)
    assert forgotten.status_code == 201, forgotten.text
    same = ("id", "version", "attempts", "session_id", "fingerprint", "requirements")
    assert {name: forgotten.json()[name] for name in same} == {name: first.json()[name] for name in same}
    assert len(scripted_model.requests()) == 2


async def test_a_dry_run_keeps_nothing_and_shows_where_it_leads(shared: System, scripted_model: ScriptedModel) -> None:
    before = await kept(shared)
    scripted_model.script(says(a_drawing()))
    answer = await generate(shared, params={"dry_run": "true"})
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert "location" not in answer.headers
    assert (shown["id"], shown["version"], shown["created_at"]) == (None, None, None)
    assert shown["validation"]["valid"]
    rehearsal = shown["rehearsal"]
    assert set(rehearsal["visited"]) == {node["id"] for node in shown["definition"]["nodes"]}
    assert (rehearsal["skipped"], rehearsal["problems"], rehearsal["complete"]) == ([], [], True)
    assert set(rehearsal["ends"]) == {"sent", "left"}
    assert rehearsal["walks"][0]["turned"] is None
    assert await kept(shared) == before
    assert len(scripted_model.requests()) == 1, "the rehearsal asks no model"
    assert (await shared.http.post(WORKFLOWS, json=shown["definition"])).status_code == 201, (
        "what was shown can be kept"
    )


async def test_a_name_that_is_asked_for_stands(shared: System, scripted_model: ScriptedModel) -> None:
    name = f"Our tickets {uuid4().hex[:8]}"
    scripted_model.script(says(a_drawing()))
    assert (await generate(shared, name=name)).json()["name"] == name
    taken = await generate(shared, name=name.upper())
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "CONFLICT")
    assert len(scripted_model.requests()) == 1, "nothing is paid for a name that is taken"


async def test_a_name_that_the_model_makes_twice_gets_a_number(shared: System, scripted_model: ScriptedModel) -> None:
    drawing = a_drawing()
    scripted_model.script(says(drawing, times=2))
    first, second = [(await generate(shared)).json() for _ in range(2)]
    assert second["name"] == f"{first['name']} 2"
    assert second["id"] != first["id"]


async def test_without_requirements_none_is_traced(shared: System, scripted_model: ScriptedModel) -> None:
    drawing = {**a_drawing(), "requirements": []}
    scripted_model.script(says(drawing))
    made = (await generate(shared, requirements=[])).json()
    assert (made["requirements"], made["attempts"]) == ([], 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"description": " "},
        {"description": None},
        {"requirements": [""]},
        {"requirements": "all"},
        {"requirements": ["x"] * 51},
        {"name": "\x00"},
        {"mood": "sunny"},
    ],
    ids=str,
)
async def test_what_cannot_be_drawn_is_refused_before_anything_is_paid(
    shared: System, scripted_model: ScriptedModel, changes: dict[str, Any]
) -> None:
    answer = await generate(shared, **changes)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert scripted_model.requests() == []

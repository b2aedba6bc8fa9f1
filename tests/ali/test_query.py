"""Questions to Ali: the answer, what was really read for it, and nothing else."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.ali.answers import NO_CALLS, NO_TOOLS
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, OF_ACME, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "/api/v1/agents/ali/query"
SHAPE = "ali_answer"
MONTH = {"period": "month", "group_by": "agent"}
CALL = {"name": "query_costs", "arguments": MONTH}
ACTION = {"title": "Freeze hiring", "why": "Costs doubled.", "agent_id": "amy_cfo"}


def answering(answer: str = "Spend less.", actions: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """A rule by which the provider answers in Ali's shape."""
    text = json.dumps({"answer": answer, "suggested_actions": actions or []})
    return {"shape": SHAPE, "role": "user", "text": text, **more}


def reading(*calls: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rules by which the provider asks for tools first, and answers then."""
    return {"wants": "query_costs", "role": "user", "calls": list(calls)}, answering(actions=[ACTION], role="tool")


async def ask(system: System, query: str = "What do we spend?", **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    return await system.http.post(QUERY, json={"query": query, **more}, headers=headers)


async def asked(system: System, query: str = "What do we spend?", **more: Any) -> dict[str, Any]:
    response = await ask(system, query, **more)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_sources_and_reasoning_are_the_calls_that_were_really_made(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(
        *reading(
            {"name": "query_costs", "arguments": MONTH},
            {"name": "search_knowledge", "arguments": {"query": "hiring plan"}},
        )
    )
    told = await asked(shared)
    assert told["answer"] == "Spend less."
    assert told["suggested_actions"] == [ACTION]
    made = sorted((it["tool"], it["outcome"], it["arguments"]) for it in told["reasoning"])
    assert made == [("query_costs", "ok", MONTH), ("search_knowledge", "ok", {"query": "hiring plan"})]
    assert all(it["took_ms"] >= 0 and it["step"] == 1 for it in told["reasoning"])
    assert {"source": "projection:costs", "tools": ["query_costs"]} in told["sources"]
    assert {source["source"] for source in told["sources"]} == {
        source for it in told["reasoning"] for source in it["sources"]
    }
    assert (told["note"], told["status"], told["model"], told["turn"]) == (None, "completed", "scripted", 1)
    assert told["workflow_id"] == f"chat-{told['session_id']}"
    calls = await shared.calls(session_id=told["session_id"])
    assert told["usage"]["total_tokens"] == sum(call["total_tokens"] for call in calls)
    assert len(calls) == 2


async def test_only_what_reads_is_offered(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(answering())
    await asked(shared)
    [request] = scripted_model.requests()
    offered = {tool["function"]["name"] for tool in request["tools"]}
    assert {"query_costs", "search_knowledge"} <= offered
    assert offered <= {"query_costs", "search_knowledge", "find_talents", "query_projects", "query_analytics"}


async def test_an_answer_without_a_call_says_that_nothing_was_read(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(answering())
    told = await asked(shared)
    assert (told["sources"], told["reasoning"], told["note"]) == ([], [], NO_CALLS)


@pytest.mark.asyncio(loop_scope="function")
async def test_a_model_without_tools_says_so(system: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(answering(times=None), no_tools=True)
    told = await asked(system)
    assert (told["answer"], told["sources"], told["reasoning"], told["note"]) == ("Spend less.", [], [], NO_TOOLS)
    assert (await asked(system))["note"] == NO_TOOLS


@pytest.mark.asyncio(loop_scope="function")
async def test_a_model_without_schemas_is_told_the_schema_in_words(
    system: System, scripted_model: ScriptedModel
) -> None:
    text = 'Gladly:\n```json\n{"answer": "Spend less.", "suggested_actions": []}\n```'
    scripted_model.script({"text": text, "times": None}, no_shapes=True)
    assert (await asked(system))["answer"] == "Spend less."


async def test_what_is_known_besides_is_told_to_the_model(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(answering())
    told = await asked(shared, "What are the key risks?", context={"department": "all", "user_id": "user123"})
    [request] = scripted_model.requests()
    assert request["messages"][-1]["content"] == 'What are the key risks?\n\nContext: {"department":"all"}'
    session = await shared.session(told["session_id"])
    assert (session["agent_id"], len(session["turns"])) == (AGENT, 1)


async def test_a_session_can_be_continued(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(answering("One."), answering("Two."))
    first = await asked(shared)
    second = await asked(shared, "And now?", context={"session_id": first["session_id"]})
    assert (second["session_id"], second["turn"], second["answer"]) == (first["session_id"], 2, "Two.")
    earlier = await shared.http.get(f"{QUERY}/{first['session_id']}", params={"turn": 1})
    assert earlier.json()["answer"] == "One."


async def test_another_agents_session_is_a_conflict(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Hello.", agent_id="amy_cfo")).json()["session_id"]
    response = await ask(shared, context={"session_id": session_id})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await shared.http.get(f"{QUERY}/{session_id}")).status_code == 404


async def test_an_answer_that_is_put_right_counts(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"shape": SHAPE, "text": "Spend less, I would say."}, answering("Spend less."))
    told = await asked(shared)
    assert told["answer"] == "Spend less."
    assert len(await shared.calls(session_id=told["session_id"])) == 2


async def test_answers_that_stay_wrong_are_a_failure(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"shape": SHAPE, "text": "Spend less, I would say.", "times": None})
    response = await ask(shared)
    assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_ERROR")
    session_id = response.json()["error"]["details"]["session_id"]
    assert len(await shared.calls(session_id=session_id)) == 3
    failed = (await shared.http.get(f"{QUERY}/{session_id}")).json()
    assert (failed["status"], failed["answer"], failed["error"]["code"]) == ("failed", None, "UNUSABLE_REPLY")


async def test_a_model_that_is_down_is_a_failure_and_the_same_key_asks_again(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"status": 401}, answering())
    headers = {"Idempotency-Key": uuid4().hex}
    down = await ask(shared, headers=headers)
    assert (down.status_code, down.json()["error"]["code"]) == (502, "UPSTREAM_ERROR")
    again = await ask(shared, headers=headers)
    assert (again.status_code, again.json()["answer"]) == (200, "Spend less.")
    assert again.json()["session_id"] == down.json()["error"]["details"]["session_id"]


async def test_who_does_not_wait_polls_for_the_answer(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"wants": "query_costs", "role": "user", "calls": [CALL], "delay_s": 0.5})
    scripted_model.script(answering(actions=[ACTION], role="tool"))
    response = await ask(shared, wait=False)
    assert response.status_code == 202
    running = response.json()
    assert (running["status"], running["answer"], running["note"], running["usage"]) == ("running", None, None, None)
    location = response.headers["location"]
    assert location == f"{QUERY}/{running['session_id']}"
    assert (await shared.http.get(location)).json()["status"] == "running"
    told = await until(lambda: shared.http.get(location), lambda it: it.json()["status"] != "running")
    answered = told.json()
    assert (answered["status"], answered["answer"], answered["turn"]) == ("completed", "Spend less.", 1)
    assert (answered["suggested_actions"], answered["note"]) == ([ACTION], None)
    assert [it["tool"] for it in answered["reasoning"]] == ["query_costs"]


async def test_another_tenants_answers_are_not_shown(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(answering())
    told = await asked(shared, headers=OF_ACME)
    assert (await shared.http.get(f"{QUERY}/{told['session_id']}")).status_code == 404
    own = await shared.http.get(f"{QUERY}/{told['session_id']}", headers=OF_ACME)
    assert own.json()["answer"] == "Spend less."
    assert (await shared.http.get(f"{QUERY}/{told['session_id']}", params={"turn": 2})).status_code == 404


@pytest.mark.parametrize("path", [f"{QUERY}/session_nobodys", f"{QUERY}/session_nobodys?turn=3"])
async def test_a_session_that_is_not_there_is_not_found(
    shared: System, scripted_model: ScriptedModel, path: str
) -> None:
    assert (await shared.http.get(path)).status_code == 404


async def test_what_was_only_said_in_a_chat_with_ali_is_shown_as_it_is(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    spoken = (await shared.http.get(f"{CHAT}/{session_id}")).json()["turns"][0]["response"]
    told = (await shared.http.get(f"{QUERY}/{session_id}")).json()
    assert (told["answer"], told["suggested_actions"]) == (spoken, [])


@pytest.mark.parametrize("body", [{}, {"query": " "}, {"query": "What?", "colour": "red"}, {"query": "", "wait": 3}])
async def test_a_question_that_cannot_be_is_refused(
    shared: System, scripted_model: ScriptedModel, body: dict[str, Any]
) -> None:
    response = await shared.http.post(QUERY, json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "VALIDATION_ERROR")

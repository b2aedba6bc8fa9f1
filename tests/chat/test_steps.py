"""A turn that takes steps before it answers: tools, other agents, people, and answers that have to be put right."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest

from domain.chat.steps import MOST_CORRECTIONS, MOST_STEPS
from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPROVALS = "/api/v1/approvals"
COSTS = '[[call query_costs {"period": "today", "group_by": "agent"}]]'


def delegating(agent: str, task: str) -> str:
    return f"[[call delegate {orjson.dumps({'agent_id': agent, 'task': task}).decode()}]]"


def requesting(content: str) -> str:
    asked = {"title": "May I?", "content": content, "risk_level": "medium"}
    return f"[[call request_approval {orjson.dumps(asked).decode()}]]"


async def answered(system: System, message: str, **more: Any) -> dict[str, Any]:
    response = await system.say(message, **more)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def agreed(system: System, model: ScriptedModel, workflow_id: str) -> list[dict[str, Any]]:
    calls = await system.calls(workflow_id=workflow_id)
    assert_books_agree(calls, model.bill())
    return calls[::-1]


async def decide(system: System, approval_id: str, decision: str, **body: str) -> dict[str, Any]:
    response = await system.decide(approval_id, decision, **body)
    assert response.status_code == 200, response.text
    return dict(response.json())


async def held(system: System, message: str, **more: Any) -> dict[str, Any]:
    response = await system.say(message, **more)
    assert (response.status_code, response.json()["status"]) == (202, "awaiting_approval"), response.text
    assert response.headers["location"] == f"{CHAT}/{response.json()['session_id']}"
    return dict(response.json())


async def over(system: System, session_id: str) -> dict[str, Any]:
    """The session's last turn, once it is over."""

    async def last() -> dict[str, Any]:
        return dict((await system.session(session_id))["turns"][-1])

    return await until(last, lambda turn: turn["status"] not in {"running", "awaiting_approval"}, seconds=20)


async def test_a_tools_result_goes_back_to_the_model_and_its_answer_ends_the_turn(
    shared: System, scripted_model: ScriptedModel
) -> None:
    answer = await answered(shared, f"What did we spend? {COSTS}")
    assert answer["response"].startswith("The tools say:")
    assert answer["tools_used"] == ["query_costs"]
    first, second = await agreed(shared, scripted_model, answer["workflow_id"])
    assert first["call_id"] != second["call_id"]
    assert answer["usage"]["prompt_tokens"] == first["prompt_tokens"] + second["prompt_tokens"]
    [turn] = (await shared.session(answer["session_id"]))["turns"]
    assert (turn["status"], turn["tools_used"]) == ("completed", ["query_costs"])
    assert turn["usage"]["total_tokens"] == answer["usage"]["total_tokens"]


async def test_calls_of_one_reply_are_answered_in_their_order(shared: System, scripted_model: ScriptedModel) -> None:
    both = f'{COSTS}[[call search_knowledge {{"query": "rain"}}]]'
    answer = await answered(shared, f"Both, please. {both}")
    assert answer["tools_used"] == ["query_costs", "search_knowledge"]
    told = scripted_model.requests()[-1]["messages"]
    asked, *results = [message for message in told if message["role"] in {"assistant", "tool"}]
    assert [call["function"]["name"] for call in asked["tool_calls"]] == ["query_costs", "search_knowledge"]
    assert [result["tool_call_id"] for result in results] == [call["id"] for call in asked["tool_calls"]]
    assert "no documents" in results[1]["content"].lower()


async def test_the_next_turn_remembers_the_answer_and_not_the_steps(
    shared: System, scripted_model: ScriptedModel
) -> None:
    answer = await answered(shared, f"What did we spend? {COSTS}")
    await answered(shared, "Thank you.", session_id=answer["session_id"])
    roles = [message["role"] for message in scripted_model.requests()[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


async def test_a_bad_call_goes_back_to_the_model_as_an_error(shared: System, scripted_model: ScriptedModel) -> None:
    answer = await answered(shared, "Try. [[badcall query_costs {period today]]")
    assert "JSON" in answer["response"]
    assert answer["tools_used"] == []
    await agreed(shared, scripted_model, answer["workflow_id"])


async def test_a_tool_that_is_not_there_is_told_to_the_model(shared: System, scripted_model: ScriptedModel) -> None:
    answer = await answered(shared, "Try another. [[call launch_rockets {}]]")
    assert "there is no tool" in answer["response"]
    assert answer["tools_used"] == []


async def test_a_model_that_calls_badly_again_and_again_has_failed(
    shared: System, scripted_model: ScriptedModel
) -> None:
    response = await shared.say(f'Try. [[call query_costs {{"period": 7}}]] [[again {MOST_CORRECTIONS + 1}]]')
    assert (response.status_code, response.json()["error"]["code"]) == (502, "UPSTREAM_ERROR"), response.text
    calls = await agreed(shared, scripted_model, response.json()["error"]["details"]["workflow_id"])
    assert len(calls) == MOST_CORRECTIONS + 1


async def test_at_the_last_step_no_tool_may_be_called_so_that_the_model_answers(
    shared: System, scripted_model: ScriptedModel
) -> None:
    answer = await answered(shared, f"Go on and on. {COSTS} [[again 50]]", timeout_s=60)
    assert answer["status"] == "completed"
    bill = scripted_model.bill()
    assert len(bill) == MOST_STEPS
    assert all("query_costs" in entry["tools"] for entry in bill[:-1])
    assert bill[-1]["tools"] == []
    last = scripted_model.requests()[-1]
    assert last["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in last["tools"]], "gateways refuse calls in messages without tools"


async def test_a_model_that_takes_no_tools_answers_without_and_says_so(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(no_tools=True)
    other = await shared.http.post("/api/v1/agent-management/create", json=_agent("Plain Talker", model="gpt-4.1-mini"))
    assert other.status_code == 201, other.text
    agent_id = other.json()["id"]
    assert (await shared.http.post(f"/api/v1/agent-management/{agent_id}/deploy", json={})).status_code == 200
    answer = await answered(shared, "Hello.", agent_id=agent_id)
    assert (answer["status"], answer["tools_unavailable"]) == ("completed", True)
    refused, settled = await agreed(shared, scripted_model, answer["workflow_id"])
    assert (refused["state"], settled["state"]) == ("failed", "settled")
    again = await answered(shared, "Hello again.", agent_id=agent_id)
    assert again["tools_unavailable"] is True
    assert len(await shared.calls(workflow_id=again["workflow_id"])) == 1


def _agent(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"{name} {uuid4().hex[:8]}",
        "description": "Made for a test.",
        "capabilities": [],
        "tools": ["query_costs"],
        "system_prompt": "You answer.",
        **more,
    }


async def test_a_delegated_task_is_another_agents_turn(shared: System, scripted_model: ScriptedModel) -> None:
    answer = await answered(shared, f"Ask Amy. {delegating('amy_cfo', 'What does it cost?')}")
    assert "What does it cost?" in answer["response"]
    calls = await agreed(shared, scripted_model, answer["workflow_id"])
    assert [call["agent_id"] for call in calls] == [AGENT, "amy_cfo", AGENT]
    assert {call["workflow_id"] for call in calls} == {answer["workflow_id"]}
    amy = scripted_model.requests()[1]["messages"]
    assert [message["role"] for message in amy] == ["system", "user"]


@pytest.mark.parametrize(
    ("agent", "problem"), [("nobody_at_all", "There is no agent"), (AGENT, "cannot delegate to itself")]
)
async def test_a_task_for_nobody_is_told_to_the_model(
    shared: System, scripted_model: ScriptedModel, agent: str, problem: str
) -> None:
    answer = await answered(shared, f"Ask. {delegating(agent, 'Something.')}")
    assert problem in answer["response"]
    assert len(scripted_model.bill()) == 2


async def test_a_task_is_delegated_two_deep_at_most(shared: System, scripted_model: ScriptedModel) -> None:
    deepest = delegating("antonio_strategy_expert", "Deep.")
    answer = await answered(shared, f"Ask. {delegating('amy_cfo', f'Ask on. {deepest}')}")
    assert answer["status"] == "completed"
    offered = [("delegate" in entry["tools"]) for entry in scripted_model.bill()]
    assert offered == [True, True, False, True, True]


async def test_a_request_for_approval_holds_the_turn_and_its_decision_goes_on(
    shared: System, scripted_model: ScriptedModel
) -> None:
    waiting = await held(shared, f"Send it. {requesting('Dear customer')}")
    session = await shared.session(waiting["session_id"])
    assert session["status"] == "awaiting_approval"
    [pending] = [
        approval
        for approval in (await shared.http.get(f"{APPROVALS}/pending")).json()["pending_approvals"]
        if approval["id"] == waiting["approval_id"]
    ]
    assert (pending["type"], pending["content"], pending["risk_level"]) == ("request", "Dear customer", "medium")
    assert pending["workflow_id"] == waiting["workflow_id"]
    await decide(shared, waiting["approval_id"], "approve", comment="Nicely put.", edited_content="Dearest customer")
    turn = await over(shared, waiting["session_id"])
    assert turn["status"] == "completed"
    assert "approved" in turn["response"]
    result = scripted_model.requests()[-1]["messages"][-1]
    assert (result["role"], "Nicely put." in result["content"], "Dearest customer" in result["content"]) == (
        "tool",
        True,
        True,
    )
    assert len(await agreed(shared, scripted_model, waiting["workflow_id"])) == 2


async def test_while_a_turn_is_held_nothing_more_can_be_said(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await held(shared, f"Send it. {requesting('Dear customer')}")
    refused = await shared.say("And now?", waiting["session_id"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert waiting["approval_id"] in refused.json()["error"]["message"]
    await decide(shared, waiting["approval_id"], "reject", reason="Not now.")
    turn = await over(shared, waiting["session_id"])
    assert (turn["status"], "not approved" in turn["response"]) == ("completed", True)
    assert (await shared.say("And now?", waiting["session_id"])).status_code == 200


async def test_a_held_answer_goes_out_as_a_person_edited_it(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await held(shared, "What do you think?", require_approval=True)
    assert waiting["response"] is None
    await decide(shared, waiting["approval_id"], "approve", edited_content="I think so.")
    turn = await over(shared, waiting["session_id"])
    assert (turn["status"], turn["response"], turn["approval_id"]) == (
        "completed",
        "I think so.",
        waiting["approval_id"],
    )
    await answered(shared, "Really?", session_id=waiting["session_id"])
    told = [message["content"] for message in scripted_model.requests()[-1]["messages"]]
    assert told[1:] == ["What do you think?", "I think so.", "Really?"]
    assert len(await agreed(shared, scripted_model, waiting["workflow_id"])) == 2


async def test_a_rejected_answer_is_not_shown(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await held(shared, "What do you think?", require_approval=True)
    await decide(shared, waiting["approval_id"], "reject", reason="Nonsense.")
    turn = await over(shared, waiting["session_id"])
    assert (turn["status"], turn["response"], turn["error"]["code"]) == ("rejected", None, "REJECTED")
    await answered(shared, "Again, please.", session_id=waiting["session_id"])
    told = [message["content"] for message in scripted_model.requests()[-1]["messages"]]
    assert told[1:] == ["Again, please."]


async def test_a_chat_that_is_cancelled_while_held_takes_its_approval_back(
    shared: System, scripted_model: ScriptedModel
) -> None:
    waiting = await held(shared, "What do you think?", require_approval=True)
    await shared.temporal.get_workflow_handle(waiting["workflow_id"]).cancel()

    async def approval() -> httpx.Response:
        return await shared.http.get(f"{APPROVALS}/{waiting['approval_id']}")

    found = await until(approval, lambda response: response.json()["status"] != "pending", seconds=20)
    assert found.json()["status"] == "withdrawn"
    assert (await over(shared, waiting["session_id"]))["status"] == "failed"


async def test_a_signal_that_nobody_decided_lets_nothing_go(shared: System, scripted_model: ScriptedModel) -> None:
    waiting = await held(shared, "What do you think?", require_approval=True)
    handle = shared.temporal.get_workflow_handle(waiting["workflow_id"])
    forged = {"approval_id": waiting["approval_id"], "outcome": "approved", "by": "somebody"}
    for arguments in ([forged], [], ["approved"], [forged, forged, 7]):
        await handle.signal("approval_decided", args=arguments)
    await asyncio.sleep(1)
    [turn] = (await shared.session(waiting["session_id"]))["turns"]
    assert (turn["status"], turn["response"]) == ("awaiting_approval", None)
    await decide(shared, waiting["approval_id"], "approve")
    assert (await over(shared, waiting["session_id"]))["status"] == "completed"


async def test_two_sessions_use_tools_side_by_side(shared: System, scripted_model: ScriptedModel) -> None:
    answers = await asyncio.gather(*(answered(shared, f"Number {n}. {COSTS}") for n in range(8)))
    assert all(answer["tools_used"] == ["query_costs"] for answer in answers)
    for answer in answers:
        assert len(await shared.calls(workflow_id=answer["workflow_id"])) == 2

"""Chats over HTTP, through the whole system."""

from tests.scripted_model import ScriptedModel
from tests.system import AGENT, System


async def test_a_message_is_answered_by_the_model(system: System, scripted_model: ScriptedModel) -> None:
    response = await system.say("How do we begin?")
    answer = response.json()
    assert response.status_code == 200, response.text
    assert answer["turn"] == 1
    assert answer["agent_id"] == AGENT
    assert answer["status"] == "completed"
    assert answer["response"]
    assert answer["workflow_id"] == f"chat-{answer['session_id']}"
    assert (
        answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"] > 0
    )
    [billed] = scripted_model.bill()
    assert billed["state"] == "finished"


async def test_a_session_remembers_what_was_said(system: System, scripted_model: ScriptedModel) -> None:
    first = (await system.say("My name is Ada.")).json()
    second = (await system.say("What is my name?", first["session_id"])).json()
    assert second["turn"] == 2
    sent = scripted_model.requests()[-1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "My name is Ada."
    assert sent[2]["content"] == first["response"]
    session = await system.session(first["session_id"])
    assert [turn["message"] for turn in session["turns"]] == ["My name is Ada.", "What is my name?"]
    assert session["status"] == "idle"

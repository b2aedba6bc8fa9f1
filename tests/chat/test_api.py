"""Chats over HTTP, through the whole system."""

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from temporalio.client import WorkflowHandle

from domain.chat.policy import MOST_FAILURES
from tests.chaos.books import assert_books_agree
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, CHAT, OF_ACME, OF_ZETA, System, until
from workflows.chat.messages import ChatStart
from workflows.chat.workflow import ChatWorkflow
from workflows.search_attributes import AGENT_ATTRIBUTE, API_KEY_ATTRIBUTE, KIND_ATTRIBUTE, PROJECT_ATTRIBUTE
from workflows.task_queues import WORKFLOW_QUEUE

pytestmark = pytest.mark.asyncio(loop_scope="module")

AS_ADMIN = {"X-API-Key": ADMIN_KEY}


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


def refused(body: dict[str, Any]) -> tuple[str, str]:
    """Code and message of an error envelope."""
    assert body["success"] is False
    return body["error"]["code"], body["error"]["message"]


async def assert_agreed(system: System, model: ScriptedModel, session_id: str) -> list[dict[str, Any]]:
    """The session's calls, newest first, once they have been compared with the bill."""
    calls = await system.calls(session_id=session_id)
    assert_books_agree(calls, model.bill())
    return calls


async def test_a_message_is_answered_by_the_model(shared: System, scripted_model: ScriptedModel) -> None:
    response = await shared.say("How do we begin?")
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
    [call] = await assert_agreed(shared, scripted_model, answer["session_id"])
    assert call["state"] == "settled"


async def test_a_session_remembers_what_was_said(shared: System, scripted_model: ScriptedModel) -> None:
    first = (await shared.say("My name is Ada.")).json()
    second = (await shared.say("What is my name?", first["session_id"])).json()
    assert second["turn"] == 2
    sent = scripted_model.requests()[-1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "My name is Ada."
    assert sent[2]["content"] == first["response"]
    session = await shared.session(first["session_id"])
    assert [turn["message"] for turn in session["turns"]] == ["My name is Ada.", "What is my name?"]
    assert session["status"] == "idle"


async def test_an_unknown_agent_is_not_found(shared: System, scripted_model: ScriptedModel) -> None:
    response = await shared.say("Hello?", agent_id="nobody_at_all")
    assert response.status_code == 404
    assert refused(response.json())[0] == "NOT_FOUND"
    assert scripted_model.bill() == []


async def test_an_alias_is_the_agent_it_stands_for(shared: System, scripted_model: ScriptedModel) -> None:
    answer = (await shared.say("Hello?", agent_id="ava_analytics_insights_virtuoso")).json()
    assert answer["agent_id"] == "ava_analytics_virtuoso"
    again = await shared.say("And now?", answer["session_id"], agent_id="ava_analytics_insights_virtuoso")
    assert again.json()["turn"] == 2
    assert (await shared.say("And now?", answer["session_id"], agent_id="ava_analytics_virtuoso")).json()["turn"] == 3


async def test_a_session_belongs_to_the_tenant_that_opened_it(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("This is mine.", headers=OF_ACME)).json()["session_id"]
    path = f"{CHAT}/{session_id}"
    for others in ({}, OF_ZETA):
        read, ended = await shared.http.get(path, headers=others), await shared.http.delete(path, headers=others)
        assert [response.status_code for response in (read, ended)] == [404, 404]
    assert len(scripted_model.bill()) == 1
    mine = (await shared.http.get(path, headers=OF_ACME)).json()
    assert mine["status"] == "idle"
    assert len(mine["turns"]) == 1


async def test_any_key_of_the_tenant_goes_on_with_a_session(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("This is ours.", headers=AS_ADMIN)).json()["session_id"]
    path = f"{CHAT}/{session_id}"
    said = await shared.say("Go on.", session_id)
    read, ended = await shared.http.get(path), await shared.http.delete(path)
    assert [response.status_code for response in (said, read, ended)] == [200, 200, 200]


async def test_tenants_may_use_the_same_session_id_and_do_not_meet(
    shared: System, scripted_model: ScriptedModel
) -> None:
    name = f"our-session-{uuid4().hex}"
    for headers, words in (({}, "First."), (OF_ACME, "Second."), (OF_ZETA, "Third.")):
        answer = (await shared.say(words, name, headers=headers)).json()
        assert (answer["session_id"], answer["turn"]) == (name, 1)
    for headers, words in (({}, "First."), (OF_ACME, "Second."), (OF_ZETA, "Third.")):
        shown = (await shared.http.get(f"{CHAT}/{name}", headers=headers)).json()
        assert (shown["session_id"], [turn["message"] for turn in shown["turns"]]) == (name, [words])
    assert [len(sent["messages"]) for sent in scripted_model.requests()][-3:] == [2, 2, 2]


async def test_another_agent_on_a_session_is_a_conflict(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    response = await shared.say("Hello.", session_id, agent_id="amy_cfo")
    assert response.status_code == 409
    assert AGENT in refused(response.json())[1]


async def test_an_ended_session_takes_no_message_and_stays_readable(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("Only this.")).json()["session_id"]
    for _ in range(2):
        response = await shared.http.delete(f"{CHAT}/{session_id}")
        assert response.status_code == 200, response.text
        assert response.json() == {"id": session_id, "status": "deleted"}
    assert (await shared.say("One more.", session_id)).status_code == 409
    session = await shared.session(session_id)
    assert session["status"] == "ended"
    assert [turn["message"] for turn in session["turns"]] == ["Only this."]


async def test_a_session_nobody_opened_cannot_be_read_or_ended(shared: System, scripted_model: ScriptedModel) -> None:
    path = f"{CHAT}/session_{uuid4().hex}"
    assert (await shared.http.get(path)).status_code == 404
    assert (await shared.http.delete(path)).status_code == 404


async def test_turns_come_in_pages(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Message 1")).json()["session_id"]
    for number in (2, 3):
        await shared.say(f"Message {number}", session_id)
    page = (await shared.http.get(f"{CHAT}/{session_id}", params={"skip": 1, "limit": 1})).json()
    assert [turn["message"] for turn in page["turns"]] == ["Message 2"]
    assert (page["total"], page["skip"], page["limit"]) == (3, 1, 1)
    assert page["pagination"] == {"total": 3, "skip": 1, "limit": 1, "has_next": True, "has_prev": True}


async def test_without_waiting_the_answer_is_found_where_location_says(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 0.8})
    response = await shared.say("Be slow.", wait=False)
    accepted = response.json()
    assert response.status_code == 202
    assert (accepted["status"], accepted["response"], accepted["turn"]) == ("running", None, None)
    location = response.headers["location"]
    assert location == f"{CHAT}/{accepted['session_id']}"
    polled = await shared.http.get(location)
    assert polled.status_code == 200
    assert (polled.json()["status"], polled.json()["pending"]) == ("running", 1)
    session = await shared.settled(accepted["session_id"])
    assert (session["status"], session["pending"]) == ("idle", 0)
    [turn] = session["turns"]
    assert turn["status"] == "completed"
    assert turn["response"]


async def test_a_model_slower_than_the_caller_answers_later(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 1})
    response = await shared.say("Be slow.", timeout_s=0.3)
    assert response.status_code == 202
    session = await shared.settled(response.json()["session_id"])
    assert [turn["status"] for turn in session["turns"]] == ["completed"]
    assert len(scripted_model.bill()) == 1


async def test_a_session_can_be_ended_as_soon_as_it_is_accepted(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "slow", "delay_s": 0.5})
    location = (await shared.say("Be slow.", wait=False)).headers["location"]
    assert (await shared.http.delete(location)).status_code == 200
    session_id = location.rpartition("/")[2]
    session = await until(
        lambda: shared.session(session_id), lambda it: [turn["status"] for turn in it["turns"]] == ["completed"]
    )
    assert session["status"] == "ended"


async def test_a_provider_that_keeps_failing_is_given_up_after_five_calls(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "broken", "status": 500, "times": None})
    response = await shared.say("You are broken.", headers={"X-Request-ID": "req-given-up"})
    assert response.status_code == 502
    body = response.json()
    code, message = refused(body)
    assert code == "UPSTREAM_ERROR"
    assert body["request_id"] == "req-given-up"
    assert len(scripted_model.bill()) == MOST_FAILURES
    session_id = body["error"]["details"]["session_id"]
    calls = await assert_agreed(shared, scripted_model, session_id)
    assert [call["state"] for call in calls] == ["failed"] * MOST_FAILURES
    session = await shared.session(session_id)
    assert session["status"] == "idle"
    [turn] = session["turns"]
    assert (turn["status"], turn["response"]) == ("failed", None)
    assert turn["error"] == {"code": "UPSTREAM_ERROR", "message": message}


async def test_a_provider_that_recovers_is_asked_again(shared: System, scripted_model: ScriptedModel) -> None:
    response = await shared.say("[[fail 503 2]] Are you back?")
    assert response.status_code == 200
    calls = await assert_agreed(shared, scripted_model, response.json()["session_id"])
    assert [call["state"] for call in calls] == ["settled", "failed", "failed"]


async def test_a_refused_key_fails_at_once(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"status": 401, "times": None})
    response = await shared.say("Let me in.")
    assert response.status_code == 502
    assert "key" in refused(response.json())[1]
    assert len(scripted_model.bill()) == 1


async def test_a_used_up_quota_fails_at_once(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(out_of_quota_after=0)
    response = await shared.say("One more.")
    assert response.status_code == 502
    assert "quota" in refused(response.json())[1]
    assert len(scripted_model.bill()) == 1


async def test_a_provider_that_wants_an_hour_fails_the_turn(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"status": 429, "headers": {"Retry-After": "3600"}, "times": None})
    response = await shared.say("Now?", timeout_s=10)
    assert response.status_code == 502, response.text
    assert len(scripted_model.bill()) == 1


async def test_an_empty_answer_is_a_failure_that_was_paid_for(shared: System, scripted_model: ScriptedModel) -> None:
    response = await shared.say("Say nothing. [[empty]]")
    assert response.status_code == 502
    assert "empty" in refused(response.json())[1]
    session_id = response.json()["error"]["details"]["session_id"]
    [call] = await assert_agreed(shared, scripted_model, session_id)
    assert call["state"] == "settled"
    [turn] = (await shared.session(session_id))["turns"]
    assert turn["status"] == "failed"


async def test_answers_without_a_word_in_them_are_failures_in_the_end(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"contains": "page", "garbage": "page", "times": None})
    response = await shared.say("Show a page.", timeout_s=10)
    assert response.status_code == 502
    session_id = response.json()["error"]["details"]["session_id"]
    calls = await assert_agreed(shared, scripted_model, session_id)
    assert [call["state"] for call in calls] == ["unknown"] * MOST_FAILURES


async def test_streams_cut_again_and_again_are_a_failure(shared: System, scripted_model: ScriptedModel) -> None:
    response = await shared.say("Tell me more. [[cut 1]]", timeout_s=10)
    assert response.status_code == 502
    session_id = response.json()["error"]["details"]["session_id"]
    calls = await assert_agreed(shared, scripted_model, session_id)
    assert [call["state"] for call in calls] == ["cut"] * MOST_FAILURES
    assert all(call["estimated"] for call in calls)


async def test_a_message_that_does_not_fit_the_window_is_too_large(
    shared: System, scripted_model: ScriptedModel
) -> None:
    response = await shared.say("word " * 19_000)
    assert response.status_code == 413
    assert refused(response.json())[0] == "PAYLOAD_TOO_LARGE"
    assert scripted_model.bill() == []
    session_id = response.json()["error"]["details"]["session_id"]
    [turn] = (await shared.session(session_id))["turns"]
    assert (turn["status"], turn["error"]["code"]) == ("failed", "PAYLOAD_TOO_LARGE")
    assert (await shared.say("Shorter.", session_id)).status_code == 200


async def test_a_prompt_the_provider_finds_too_long_is_shortened(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Message 1")).json()["session_id"]
    for number in (2, 3, 4):
        await shared.say(f"Message {number}", session_id)
    too_long = {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error"}
    scripted_model.script({"contains": "Message 5", "status": 400, "error": too_long, "times": 2})
    response = await shared.say("Message 5", session_id)
    assert response.status_code == 200, response.text
    assert [len(request["messages"]) for request in scripted_model.requests()[-3:]] == [10, 6, 4]
    await assert_agreed(shared, scripted_model, session_id)


async def test_a_prompt_that_is_always_too_long_is_refused(shared: System, scripted_model: ScriptedModel) -> None:
    too_long = {"message": "too long", "code": "context_length_exceeded", "type": "invalid_request_error"}
    scripted_model.script({"status": 400, "error": too_long, "times": None})
    response = await shared.say("Message")
    assert response.status_code == 413
    assert len(scripted_model.bill()) == 1


async def test_the_same_key_gets_the_first_answer_and_one_call(shared: System, scripted_model: ScriptedModel) -> None:
    key = new_key()
    first, second = await shared.say("Once.", headers=key), await shared.say("Once.", headers=key)
    assert second.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert len(scripted_model.bill()) == 1


async def test_two_at_once_with_one_key_make_one_call(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "Once", "delay_s": 0.3})
    key = new_key()
    first, second = await asyncio.gather(shared.say("Once.", headers=key), shared.say("Once.", headers=key))
    assert first.json() == second.json()
    assert len(scripted_model.bill()) == 1


async def test_a_failed_message_is_tried_again_at_its_place(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    key = new_key()
    scripted_model.script({"contains": "Try me", "status": 401, "times": 2})
    for _ in range(2):
        failed = await shared.say("Try me.", session_id, headers=key)
        assert failed.status_code == 502
        assert failed.json()["error"]["details"]["turn"] == 2
    answered = await shared.say("Try me.", session_id, headers=key)
    assert answered.status_code == 200
    assert answered.json()["turn"] == 2
    turns = (await shared.session(session_id))["turns"]
    assert [(turn["turn"], turn["status"]) for turn in turns] == [(1, "completed"), (2, "completed")]
    assert turns[1]["error"] is None
    calls = await assert_agreed(shared, scripted_model, session_id)
    assert [call["state"] for call in calls] == ["settled", "failed", "failed", "settled"]


async def test_a_first_message_that_failed_is_tried_again_in_its_session(
    shared: System, scripted_model: ScriptedModel
) -> None:
    key = new_key()
    scripted_model.script({"contains": "Try me", "status": 401})
    failed = await shared.say("Try me.", headers=key)
    answered = await shared.say("Try me.", headers=key)
    assert answered.status_code == 200
    assert answered.json()["session_id"] == failed.json()["error"]["details"]["session_id"]
    assert answered.json()["turn"] == 1


async def test_a_message_too_long_is_refused_as_often_as_it_comes(
    shared: System, scripted_model: ScriptedModel
) -> None:
    key = new_key()
    for _ in range(2):
        response = await shared.say("word " * 19_000, headers=key)
        assert response.status_code == 413
    session = await shared.session(response.json()["error"]["details"]["session_id"])
    assert [turn["status"] for turn in session["turns"]] == ["failed"]


async def test_messages_at_once_are_answered_one_after_the_other(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    scripted_model.script({"contains": "number", "delay_s": 0.2, "times": None})
    answers = await asyncio.gather(*(shared.say(f"number {n}", session_id) for n in range(3)))
    assert sorted(answer.json()["turn"] for answer in answers) == [2, 3, 4]
    sizes = [len(request["messages"]) for request in scripted_model.requests()]
    assert sizes == [2, 4, 6, 8]  # each prompt holds the answer before it


async def test_a_run_can_be_read_in_the_temporal_web_ui(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"contains": "Wait", "delay_s": 0.5})
    body = {"agent_id": AGENT, "message": "Wait.", "context": {"project_id": 7, "mood": {"any": ["thing"]}}}
    headers = AS_ADMIN | {"X-Request-ID": "req-of-the-memo"}
    response = await shared.http.post(CHAT, json={**body, "wait": False}, headers=headers)
    handle: WorkflowHandle[Any, Any] = shared.temporal.get_workflow_handle(response.json()["workflow_id"])
    run = await handle.describe()
    assert await run.memo() == {"request_id": "req-of-the-memo"}
    found = run.typed_search_attributes
    assert (found[KIND_ATTRIBUTE], found[AGENT_ATTRIBUTE], found[API_KEY_ATTRIBUTE], found[PROJECT_ATTRIBUTE]) == (
        "chat",
        AGENT,
        "key_admin",
        "7",
    )
    assert await run.static_summary() == f"Chat with {AGENT}"
    assert AGENT in str(await handle.query("__temporal_workflow_metadata"))
    await until(
        lambda: handle.query("__temporal_workflow_metadata"), lambda shown: "waiting for a message" in str(shown)
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"message": ""}, "message"),
        ({"message": "  \n"}, "message"),
        ({"message": None}, "message"),
        ({"message": "x" * 100_001}, "message"),
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": 7}, "agent_id"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 301}, "timeout_s"),
        ({"wait": "perhaps"}, "wait"),
        ({"mesage": "typo"}, "mesage"),
        ({"context": {"session_id": "../etc"}}, "context.session_id"),
        ({"context": {"session_id": "x" * 129}}, "context.session_id"),
        ({"context": {"user_id": "x" * 129}}, "context.user_id"),
        ({"context": []}, "context"),
    ],
)
async def test_a_bad_field_is_named(
    shared: System, scripted_model: ScriptedModel, change: dict[str, Any], field: str
) -> None:
    response = await shared.http.post(CHAT, json={"agent_id": AGENT, "message": "Hello.", **change})
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"
    assert field in [error["field"] for error in response.json()["error"]["details"]["errors"]]
    assert scripted_model.bill() == []


async def test_a_context_may_hold_more_than_we_know(shared: System, scripted_model: ScriptedModel) -> None:
    context = {"user_id": "u1", "company": {"size": 12, "tags": ["a", None]}, "mood": 0.5}
    response = await shared.http.post(CHAT, json={"agent_id": AGENT, "message": "Hello.", "context": context})
    assert response.status_code == 200, response.text


async def test_nothing_is_lost_or_paid_twice_while_runs_continue_as_new(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = f"session_{uuid4().hex}"
    start = ChatStart(session_id, AGENT, "anonymous", "req_1", turns_per_run=4)
    await shared.temporal.start_workflow(ChatWorkflow.run, start, id=f"chat-{session_id}", task_queue=WORKFLOW_QUEUE)
    gate = asyncio.Semaphore(5)

    async def one(number: int) -> dict[str, Any]:
        async with gate:
            response = await shared.say(f"Message {number}", session_id, wait=number % 5 != 0)
        assert response.status_code in {200, 202}, response.text
        return dict(response.json())

    said = await asyncio.gather(*(one(number) for number in range(30)))
    session = await shared.settled(session_id)
    assert [turn["turn"] for turn in session["turns"]] == list(range(1, 31))
    assert {turn["message"] for turn in session["turns"]} == {f"Message {number}" for number in range(30)}
    turns = [answer["turn"] for answer in said if answer["turn"]]
    assert len(turns) == len(set(turns)) == 24
    assert len(await assert_agreed(shared, scripted_model, session_id)) == len(scripted_model.bill()) == 30
    run = await shared.temporal.get_workflow_handle(f"chat-{session_id}").describe()
    history = await shared.temporal.get_workflow_handle(f"chat-{session_id}", run_id=run.run_id).fetch_history()
    assert history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id


async def test_a_session_is_ended_between_two_of_its_runs(shared: System, scripted_model: ScriptedModel) -> None:
    async def one() -> None:
        session_id = f"session_{uuid4().hex}"
        start = ChatStart(session_id, AGENT, "anonymous", "req_1", turns_per_run=1)
        await shared.temporal.start_workflow(
            ChatWorkflow.run, start, id=f"chat-{session_id}", task_queue=WORKFLOW_QUEUE
        )
        saying = [asyncio.create_task(shared.say(f"Message {number}", session_id)) for number in range(4)]
        await saying[0]
        ending = await shared.http.delete(f"{CHAT}/{session_id}")
        assert ending.status_code == 200, ending.text
        statuses = [response.status_code for response in await asyncio.gather(*saying)]
        assert set(statuses) <= {200, 409}, statuses
        session = await shared.session(session_id)
        assert session["status"] == "ended"
        assert [turn["status"] for turn in session["turns"]] == ["completed"] * statuses.count(200)

    await asyncio.gather(*(one() for _ in range(8)))


async def test_a_cancelled_chat_is_unavailable_and_its_message_can_be_sent_again(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    scripted_model.script({"contains": "slow", "delay_s": 5})
    key = new_key()
    saying = asyncio.create_task(shared.say("Be slow.", session_id, headers=key))
    await scripted_model.until(lambda bill: len(bill) == 2)
    await shared.temporal.get_workflow_handle(f"chat-{session_id}").cancel()
    response = await saying
    assert response.status_code == 503, response.text
    again = await shared.say("Be slow.", session_id, headers=key)
    assert (again.status_code, again.json()["turn"]) == (200, 2)
    calls = await assert_agreed(shared, scripted_model, session_id)
    assert [call["state"] for call in calls] == ["settled", "unknown", "settled"]


async def test_a_terminated_chat_is_opened_again_and_the_turn_keeps_its_place(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("Hello.")).json()["session_id"]
    scripted_model.script({"contains": "slow", "delay_s": 1})
    saying = asyncio.create_task(shared.say("Be slow.", session_id))
    await scripted_model.until(lambda bill: len(bill) == 2)
    await shared.temporal.get_workflow_handle(f"chat-{session_id}").terminate()
    response = await saying
    assert (response.status_code, response.json()["turn"]) == (200, 2), response.text
    turns = (await shared.session(session_id))["turns"]
    assert [turn["status"] for turn in turns] == ["completed", "completed"]


async def test_all_of_a_session_is_booked_to_the_project_it_was_opened_for(
    shared: System, scripted_model: ScriptedModel
) -> None:
    body = {"agent_id": AGENT, "message": "Hello.", "context": {"project_id": 7}}
    session_id = (await shared.http.post(CHAT, json=body)).json()["session_id"]
    await shared.temporal.get_workflow_handle(f"chat-{session_id}").terminate()
    assert (await shared.say("Hello again.", session_id)).json()["turn"] == 2
    assert [call["project_id"] for call in await shared.calls(session_id=session_id)] == ["7", "7"]


async def test_old_turns_go_into_a_summary_that_the_next_prompts_hold(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(
        {"contains": "User: ", "text": "They spoke of many things.", "times": None}, default={"tokens": 1000}
    )
    session_id = (await shared.say("Message 1 " + "word " * 300)).json()["session_id"]
    for number in range(2, 9):
        response = await shared.say(f"Message {number} " + "word " * 300, session_id)
        assert response.status_code == 200, response.text
    last = next(sent for sent in scripted_model.requests() if "Message 8" in sent["messages"][-1]["content"])
    assert "They spoke of many things." in last["messages"][0]["content"]
    assert "Message 1" not in str(last["messages"][1:])
    await until(lambda: shared.calls(session_id=session_id, state="reserved"), lambda calls: calls == [])
    assert len(await assert_agreed(shared, scripted_model, session_id)) > 8


@pytest.mark.parametrize("trouble", [{"status": 401}, {"empty": True}], ids=["refused", "empty"])
async def test_without_a_summary_the_next_prompts_drop_their_oldest_turns(
    shared: System, scripted_model: ScriptedModel, trouble: dict[str, Any]
) -> None:
    scripted_model.script({"contains": "User: ", "times": None, **trouble}, default={"tokens": 1000})
    session_id = (await shared.say("Message 1 " + "word " * 300)).json()["session_id"]
    for number in range(2, 9):
        response = await shared.say(f"Message {number} " + "word " * 300, session_id)
        assert response.status_code == 200, response.text
    last = next(sent for sent in scripted_model.requests() if "Message 8" in sent["messages"][-1]["content"])
    assert "in short" not in last["messages"][0]["content"]
    assert "Message 7" in str(last["messages"])
    assert "Message 1" not in str(last["messages"])


async def test_a_failed_message_is_tried_again_though_the_view_does_not_show_it_yet(
    shared: System, scripted_model: ScriptedModel
) -> None:
    key = new_key()
    scripted_model.script({"contains": "Try me", "status": 401, "times": 2})
    with psycopg.connect(shared.settings.database_url or "") as connection:
        connection.execute("LOCK TABLE chat_turns IN EXCLUSIVE MODE")  # which lets readers in
        answers = [await shared.say("Try me.", headers=key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [502, 502, 200]
    assert answers[-1].json()["turn"] == 1
    session_id = answers[-1].json()["session_id"]
    [turn] = (await shared.session(session_id))["turns"]
    assert turn["status"] == "completed"
    assert len(await assert_agreed(shared, scripted_model, session_id)) == 3


async def test_a_view_that_is_behind_says_so(shared: System, scripted_model: ScriptedModel) -> None:
    with psycopg.connect(shared.settings.database_url or "") as connection:
        connection.execute("LOCK TABLE chat_turns IN EXCLUSIVE MODE")
        session_id = (await shared.say("Hello.")).json()["session_id"]
        behind = await shared.http.get(f"{CHAT}/{session_id}")
    assert (behind.status_code, behind.headers["x-convergio-stale"]) == (200, "true")
    fresh = await shared.http.get(f"{CHAT}/{session_id}")
    assert "x-convergio-stale" not in fresh.headers
    assert len(fresh.json()["turns"]) == 1


async def test_many_sessions_in_trouble_agree_with_the_bill_call_by_call(
    shared: System, scripted_model: ScriptedModel
) -> None:
    troubles = ["", "[[fail 503 1]]", "[[cut 1 1]]", "[[garbage 1]]", "[[delay 0.2]]", "[[empty]]", "[[fail 401]]"]

    async def converse(number: int) -> list[dict[str, Any]]:
        session_id = f"session_{uuid4().hex}"
        for turn in range(4):
            trouble = troubles[(number * 3 + turn) % len(troubles)]
            response = await shared.say(f"Session {number}, message {turn}. {trouble}", session_id)
            assert response.status_code == (502 if trouble in {"[[empty]]", "[[fail 401]]"} else 200), response.text
        assert len((await shared.session(session_id))["turns"]) == 4
        return await shared.calls(session_id=session_id)

    calls = [call for found in await asyncio.gather(*(converse(number) for number in range(14))) for call in found]
    counted = assert_books_agree(calls, scripted_model.bill())
    assert {state for state, _ in counted} == {"settled", "failed", "cut", "unknown"}
    turns = 14 * 4
    assert sum(count for (state, _), count in counted.items() if state == "settled") == turns * 6 // 7

"""Answers that a person has to let go, over HTTP and through the whole system."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from adapters.postgres.projections.rebuild import Rebuild
from domain.chat.projection import ChatProjection
from tests.scripted_model import ScriptedModel
from tests.system import CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPROVALS = "/api/v1/approvals"
MANAGED = "/api/v1/agent-management"


async def held(system: System, message: str = "May I?", **more: Any) -> dict[str, Any]:
    """What is answered while a person has to decide."""
    answer = await system.say(message, require_approval=True, **more)
    assert answer.status_code == 202, answer.text
    body = dict(answer.json())
    assert answer.headers["location"] == f"{CHAT}/{body['session_id']}"
    assert (body["status"], body["response"], body["turn"]) == ("awaiting_approval", None, 1)
    return body


async def turn_of(system: System, session_id: str, *statuses: str) -> dict[str, Any]:
    """The session's last turn as soon as it has one of these statuses."""
    session = await until(
        lambda: system.session(session_id), lambda it: bool(it["turns"]) and it["turns"][-1]["status"] in statuses
    )
    return dict(session["turns"][-1])


async def forget_answers(system: System) -> None:
    with system.parts.database.connection() as connection:
        connection.execute("DELETE FROM http_idempotency")


async def test_an_answer_waits_for_a_person_and_nobody_reads_it_before(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(default={"text": "The secret plan."})
    body = await held(shared)
    session = await shared.session(body["session_id"])
    assert session["status"] == "awaiting_approval"
    [turn] = session["turns"]
    assert (turn["status"], turn["approval_id"], turn["response"]) == ("awaiting_approval", body["approval_id"], None)
    assert turn["usage"]["total_tokens"] > 0
    assert "The secret plan." not in (await shared.http.get(f"{CHAT}/{body['session_id']}")).text


async def test_a_held_answer_goes_out_once_it_is_approved(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(default={"text": "The plan."})
    body = await held(shared)
    assert (await shared.decide(body["approval_id"], "approve")).status_code == 200
    turn = await turn_of(shared, body["session_id"], "completed")
    assert (turn["response"], turn["approval_id"], turn["error"]) == ("The plan.", body["approval_id"], None)
    await until(lambda: shared.session(body["session_id"]), lambda session: session["status"] == "idle")
    assert (await shared.say("And now?", body["session_id"])).json()["turn"] == 2
    told = [message["content"] for message in scripted_model.requests()[-1]["messages"]]
    assert told[1:] == ["May I?", "The plan.", "And now?"]
    assert len(scripted_model.bill()) == 2


async def test_what_a_person_makes_of_an_answer_is_the_answer(shared: System, scripted_model: ScriptedModel) -> None:
    body = await held(shared)
    await shared.decide(body["approval_id"], "approve", edited_content="Said with care.")
    assert (await turn_of(shared, body["session_id"], "completed"))["response"] == "Said with care."


async def test_a_rejected_answer_is_never_read(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script(default={"text": "The rude answer."})
    body = await held(shared)
    assert (await shared.decide(body["approval_id"], "reject", reason="Rude.")).status_code == 200
    turn = await turn_of(shared, body["session_id"], "rejected")
    assert (turn["response"], turn["error"]["code"]) == (None, "REJECTED")
    assert "rude answer" not in (await shared.http.get(f"{CHAT}/{body['session_id']}")).text
    assert (await shared.say("Politely, then.", body["session_id"])).json()["turn"] == 2
    assert "The rude answer." not in str(scripted_model.requests()[-1])


@pytest.mark.parametrize(("verb", "status"), [("approve", "completed"), ("reject", "rejected")])
async def test_who_asks_again_is_told_what_became_of_it(
    shared: System, scripted_model: ScriptedModel, verb: str, status: str
) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    body = await held(shared, headers=headers)
    await forget_answers(shared)
    again = await shared.say("May I?", require_approval=True, headers=headers)
    assert (again.status_code, again.json()["approval_id"]) == (202, body["approval_id"])
    await forget_answers(shared)
    await shared.decide(body["approval_id"], verb, **({"reason": "No."} if verb == "reject" else {}))
    await turn_of(shared, body["session_id"], status)
    await forget_answers(shared)
    done = await shared.say("May I?", require_approval=True, headers=headers)
    assert (done.status_code, done.json()["status"], done.json()["turn"]) == (200, status, 1)
    assert (done.json()["error"] or {}).get("code") == ("REJECTED" if verb == "reject" else None)
    assert len(scripted_model.bill()) == 1


async def test_while_an_answer_is_held_nothing_else_is_said(shared: System, scripted_model: ScriptedModel) -> None:
    body = await held(shared)
    other = await shared.say("Something else.", body["session_id"])
    assert (other.status_code, other.json()["error"]["code"]) == (409, "CONFLICT")
    assert body["approval_id"] in other.json()["error"]["message"]


@pytest.mark.parametrize("approval", ["low", "critical"])
async def test_an_agent_may_need_a_person_for_each_answer(
    shared: System, scripted_model: ScriptedModel, approval: str
) -> None:
    fields = {"description": "Careful.", "system_prompt": "Take care.", "approval": approval}
    name = f"Careful {uuid4().hex[:8]}"
    agent = (await shared.http.post(f"{MANAGED}/create", json={"name": name, **fields})).json()
    await shared.http.post(f"{MANAGED}/{agent['id']}/deploy", json={})
    answers = await asyncio.gather(
        shared.say("Hello.", agent_id=agent["id"]), shared.say("Hello.", agent_id=agent["id"], require_approval=True)
    )
    risks = []
    for answer in answers:
        assert (answer.status_code, answer.json()["status"]) == (202, "awaiting_approval")
        approval_id = answer.json()["approval_id"]
        found = await until(lambda of=approval_id: shared.http.get(f"{APPROVALS}/{of}"), lambda it: it.is_success)
        risks.append(found.json()["risk_level"])
    assert risks == ([approval, "medium"] if approval == "low" else [approval, approval])
    await shared.http.put(f"{MANAGED}/{agent['id']}", json={"approval": "none"})
    await shared.http.post(f"{MANAGED}/{agent['id']}/deploy", json={})
    assert (await shared.say("Hello.", agent_id=agent["id"])).status_code == 200


async def test_a_held_turn_cannot_be_rated_or_forked_at(shared: System, scripted_model: ScriptedModel) -> None:
    body = await held(shared)
    path = f"{CHAT}/{body['session_id']}"
    assert (await shared.http.post(f"{path}/fork", json={"turn": 1})).status_code == 409
    assert (await shared.http.post(f"{path}/turns/1/rating", json={"rating": 5})).status_code == 409


async def test_sessions_and_turns_equal_their_rebuild(shared: System) -> None:
    database_url, registry = shared.settings.database_url or "", shared.parts.registry
    rebuilt = await asyncio.to_thread(Rebuild(database_url, registry, ChatProjection()).run, swap=False)
    assert [comparison.equal for comparison in rebuilt.comparisons] == [True, True]
    assert rebuilt.set_aside == 0

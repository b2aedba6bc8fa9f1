"""A repeat of what was accepted tells how it stands, and does nothing a second time."""

from typing import Any
from uuid import uuid4

import pytest

from api.ali.team_service import CHOICE_TIMEOUT_S
from api.app import ApiSettings
from api.chat.schemas import MAX_WAIT_S
from api.graphflow.generation_service import GENERATION_TIMEOUT_S
from tests.agents.test_management import in_service
from tests.scripted_model import ScriptedModel
from tests.system import CHAT, System, until
from workflows.chat.client import ACCEPT_TIMEOUT_S, RESPONSE_TIMEOUT_S
from workflows.temporal_rpc import CONFIRM_S

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_repeat_waits_longer_than_any_first_request_may_take() -> None:
    longest = max(MAX_WAIT_S, CHOICE_TIMEOUT_S, GENERATION_TIMEOUT_S, RESPONSE_TIMEOUT_S + ACCEPT_TIMEOUT_S + CONFIRM_S)
    assert ApiSettings(version="1").idempotency_wait_s >= longest + CONFIRM_S


@pytest.mark.parametrize("more", [{"wait": False}, {"timeout_s": 0.001}], ids=["no wait", "a short wait"])
async def test_a_message_that_was_accepted_is_answered_by_its_repeat(
    shared: System, scripted_model: ScriptedModel, more: dict[str, Any]
) -> None:
    session_id, headers = f"s-{uuid4().hex}", {"Idempotency-Key": uuid4().hex}
    first = await shared.say("Good day.", session_id, headers=headers, **more)
    assert first.status_code == 202
    await shared.settled(session_id)
    answered = await until(
        lambda: shared.say("Good day.", session_id, headers=headers, **more), lambda it: it.status_code == 200
    )
    assert answered.json()["response"]
    last = await shared.say("Good day.", session_id, headers=headers, **more)
    assert (last.content, last.headers["idempotency-replayed"]) == (answered.content, "true")
    assert len(await shared.calls(session_id=session_id)) == 1


async def test_a_question_to_ali_that_was_accepted_is_answered_by_its_repeat(
    shared: System, scripted_model: ScriptedModel
) -> None:
    body, headers = {"query": "How do we stand?", "wait": False}, {"Idempotency-Key": uuid4().hex}

    async def asked() -> Any:
        return await shared.http.post("/api/v1/agents/ali/query", json=body, headers=headers)

    first = await asked()
    assert first.status_code == 202
    answered = await until(asked, lambda it: it.status_code == 200)
    assert answered.json()["session_id"] == first.json()["session_id"]


async def test_an_agent_that_was_missing_is_asked_for_again_under_the_same_key(
    shared: System, scripted_model: ScriptedModel
) -> None:
    name, headers = f"Ada {uuid4().hex[:8]}", {"Idempotency-Key": uuid4().hex}
    body = {"agent_id": name.lower().replace(" ", "_"), "message": "Good day."}
    assert (await shared.http.post(CHAT, json=body, headers=headers)).status_code == 404
    assert await in_service(shared, name=name) == body["agent_id"]
    assert (await shared.http.post(CHAT, json=body, headers=headers)).status_code == 200

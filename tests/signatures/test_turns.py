"""Answers of turns are signed as they are settled, in a chain."""

import asyncio
from typing import Any

import pytest

from adapters.cryptography.key_material import is_valid
from domain.chat.events import TurnAnswered
from domain.chat.turns import turn_stream
from domain.content import content_hash
from domain.signatures import jws
from domain.signatures.statements import Statement
from tests.scripted_model import ScriptedModel
from tests.system import AGENT, CHAT, System, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def verified(system: System, signature: str | None) -> Statement:
    """The statement of a signature, which is valid."""
    assert signature is not None
    found = jws.verify(signature, system.parts.signatures.reader.ring(fresh=True).by_id(), is_valid)
    assert found.fault is None
    return found.statement


async def test_an_answer_carries_its_signature(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "Forty-two."})
    answer = (await shared.say("What is it?", "signed-once")).json()
    statement = verified(shared, answer["signature"])
    assert statement == {
        "kind": "turn",
        "tenant_id": "default",
        "session_id": "signed-once",
        "turn": 1,
        "agent_id": AGENT,
        "agent_version": 1,
        "model": "scripted",
        "message_hash": content_hash("What is it?"),
        "content_hash": content_hash("Forty-two."),
        "previous_turn": None,
        "previous_hash": None,
        "at": statement["at"],
    }
    (turn,) = (await shared.settled("signed-once"))["turns"]
    assert turn["signature"] == answer["signature"]


async def test_answers_name_the_one_before(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "One."}, {"text": "Two."}, {"text": "Three."})
    said = [verified(shared, (await shared.say("Go on.", "chained")).json()["signature"]) for _ in range(3)]
    assert [(each["previous_turn"], each["previous_hash"]) for each in said] == [
        (None, None),
        (1, content_hash("One.")),
        (2, content_hash("Two.")),
    ]


async def test_a_failed_turn_is_passed_over(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "One."}, {"status": 400}, {"text": "Three."})
    await shared.say("Go on.", "with-a-gap")
    assert (await shared.say("Fail.", "with-a-gap")).status_code >= 400
    third = verified(shared, (await shared.say("Go on.", "with-a-gap")).json()["signature"])
    assert (third["turn"], third["previous_turn"], third["previous_hash"]) == (3, 1, content_hash("One."))


async def test_a_fork_goes_on_from_its_origins_answer(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "Origin."}, {"text": "Later."}, {"text": "Forked."})
    for _ in range(2):
        await shared.say("Go on.", "forked-from")
    forked = (await shared.http.post(f"{CHAT}/forked-from/fork", json={"turn": 1})).json()["session_id"]
    statement = verified(shared, (await shared.say("Go on.", forked)).json()["signature"])
    assert (statement["session_id"], statement["turn"]) == (forked, 2)
    assert (statement["previous_turn"], statement["previous_hash"]) == (1, content_hash("Origin."))
    first, _ = (await shared.settled(forked))["turns"]
    assert verified(shared, first["signature"])["session_id"] == "forked-from"


async def test_a_held_answer_is_signed_when_it_is_released_as_the_decider_edited_it(
    shared: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"text": "One."}, {"text": "Draft."})
    await shared.say("Go on.", "held")
    held = (await shared.say("Hold it.", "held", require_approval=True)).json()
    assert held["signature"] is None
    decided = await shared.decide(held["approval_id"], "approve", edited_content="Final.")
    assert decided.status_code == 200, decided.text
    ended = await until(lambda: shared.session("held"), lambda it: it["turns"][-1]["status"] == "completed")
    statement = verified(shared, ended["turns"][1]["signature"])
    assert statement["content_hash"] == content_hash("Final.")
    assert (statement["previous_turn"], statement["previous_hash"]) == (1, content_hash("One."))


async def test_a_repeat_gets_the_same_signature(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "Once."})
    headers = {"Idempotency-Key": "signed-repeat"}
    answers: list[Any] = await asyncio.gather(*(shared.say("Say it.", "repeated", headers=headers) for _ in range(2)))
    one, other = (answer.json()["signature"] for answer in answers)
    assert one == other
    verified(shared, one)


async def test_the_signature_is_part_of_the_event_that_settles(shared: System, scripted_model: ScriptedModel) -> None:
    answer = (await shared.say("Go.", "one-event")).json()
    events = shared.parts.ledger.read(turn_stream("one-event", 1))
    assert [event.signature for event in events if isinstance(event, TurnAnswered)] == [answer["signature"]]

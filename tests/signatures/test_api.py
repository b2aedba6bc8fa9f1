"""The endpoints of signatures: public keys, signing, verification, validation."""

from functools import partial
from typing import Any

import pytest

from adapters.cryptography.key_material import is_valid
from domain.content import content_hash
from domain.signatures import jws
from domain.signatures.jwks import parse_jwks
from tests.scripted_model import ScriptedModel
from tests.signatures.test_results import swarm
from tests.system import AGENT, OF_ACME, OF_ZETA, System

pytestmark = pytest.mark.asyncio(loop_scope="module")
API = "/api/v1"


async def post(system: System, path: str, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    response = await system.http.post(f"{API}{path}", json=body, headers=headers or {})
    assert response.status_code == 200, response.text
    return dict(response.json())


async def test_the_public_keys_are_a_jwks_beside_the_agents_fingerprints(shared: System) -> None:
    response = await shared.http.get(f"{API}/agents/signatures", params={"limit": 1000})
    listed = response.json()
    assert listed["total"] == len(listed["agents"]) >= 48
    ali = next(agent for agent in listed["agents"] if agent["agent_id"] == AGENT)
    assert ali["fingerprint"] == (await shared.http.get(f"{API}/agents/{AGENT}")).json()["fingerprint"]
    signed = await post(shared, "/agent-signatures/sign", agent_id=AGENT, content="Hello.")
    verified = jws.verify(signed["signature"], parse_jwks(response.content), is_valid)
    assert (verified.fault, verified.key_id) == (None, signed["key_id"])
    private = {"d", "p", "q", "k"}
    assert not any(private & key.keys() for key in listed["keys"])


async def test_a_signed_text_verifies_and_another_does_not(shared: System) -> None:
    signed = await post(shared, "/agent-signatures/sign", agent_id=AGENT, content="Hellö, 🌍.")
    assert signed["content_hash"] == content_hash("Hellö, 🌍.")
    verify = partial(post, shared, "/agent-signatures/verify")
    good = await verify(agent_id=AGENT, content="Hellö, 🌍.", signature=signed["signature"])
    assert good == {
        "valid": True,
        "reason": None,
        "agent_id": AGENT,
        "signed_at": signed["signed_at"],
        "key_id": signed["key_id"],
    }
    other = await verify(agent_id=AGENT, content="Hello.", signature=signed["signature"])
    assert (other["valid"], other["reason"]) == (False, "the signature is that of another text")
    impostor = await verify(agent_id="amy_cfo", content="Hellö, 🌍.", signature=signed["signature"])
    assert (impostor["valid"], impostor["reason"]) == (False, "the signature was made for another agent")


async def test_an_answer_of_a_chat_verifies(shared: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"text": "Forty-two."})
    answer = (await shared.say("What is it?")).json()
    body = {"agent_id": AGENT, "signature": answer["signature"]}
    assert (await post(shared, "/agent-signatures/verify", content="Forty-two.", **body))["valid"]
    assert await post(shared, "/agents/validate", response="Forty-two.", **body) == {"valid": True, "reasons": []}
    wrong = await post(shared, "/agents/validate", response="Forty-three.", **body)
    assert wrong == {"valid": False, "reasons": ["the signature is that of another text"]}


async def test_a_signature_of_something_else_proves_no_text(shared: System, scripted_model: ScriptedModel) -> None:
    done = await swarm(shared)
    told = await post(
        shared, "/agent-signatures/verify", agent_id=AGENT, content=done["result"], signature=done["signature"]
    )
    assert not told["valid"]
    assert "not one of an agent's text" in told["reason"]


@pytest.mark.parametrize(
    "garbage", ["", "x", "a.b.c", "é", "e30.e30." + "A" * 86, "." * 8000, "🎲" * 100, "A" * 8192], ids=range(8)
)
async def test_garbage_is_not_valid_and_no_error(shared: System, garbage: str) -> None:
    told = await post(shared, "/agent-signatures/verify", agent_id="nobody", content=garbage, signature=garbage)
    assert told["valid"] is False
    assert told["reason"].startswith("the signature is not valid")
    assert (told["agent_id"], told["signed_at"]) == (None, None)


async def test_every_changed_character_of_a_signature_is_noticed(shared: System) -> None:
    signed = await post(shared, "/agent-signatures/sign", agent_id=AGENT, content="Hello.")
    keys, signature = shared.parts.signatures.reader.ring(fresh=True).by_id(), signed["signature"]
    for place, character in enumerate(signature):
        for other in "AB":
            if character != other:
                changed = signature[:place] + other + signature[place + 1 :]
                assert jws.verify(changed, keys, is_valid).fault is not None, place


async def test_a_signature_of_another_tenant_is_told_apart(shared: System) -> None:
    signed = await post(shared, "/agent-signatures/sign", OF_ACME, agent_id=AGENT, content="Ours.")
    verify = partial(post, shared, "/agent-signatures/verify")
    body = {"agent_id": AGENT, "content": "Ours.", "signature": signed["signature"]}
    assert (await verify(OF_ACME, **body))["valid"]
    assert (await verify(OF_ZETA, **body))["reason"] == "the signature was made in another tenant"


async def test_a_definition_is_valid_if_it_is_the_current_one(shared: System) -> None:
    made = await shared.http.post(
        f"{API}/agent-management/create",
        json={"name": "Validated", "description": "One to validate.", "system_prompt": "Validate."},
    )
    agent = made.json()
    version = (await shared.http.get(f"{API}/agent-management/{agent['id']}/versions/1")).json()
    validate = partial(post, shared, "/agents/validate", agent_id=agent["id"])
    assert await validate(definition=version["definition"]) == {"valid": True, "reasons": []}
    managed = {name: agent[name] for name in ("name", "description", "system_prompt", "color")}
    assert (await validate(definition=managed))["valid"]
    wrong = await validate(definition={**managed, "system_prompt": "Obey.", "tools": ["web_fetch"]})
    assert wrong["reasons"] == [
        "tools: the current definition has another one",
        "instructions: the current definition has another one",
    ]
    odd = await validate(definition={**managed, "color": "red", "surprise": 1})
    assert odd["reasons"] == ["color: it is not one of a definition", "surprise: it is not one of a definition"]
    nobody = await post(shared, "/agents/validate", agent_id="nobody", definition=managed)
    assert nobody["reasons"] == ["there is no agent nobody"]


async def test_bad_requests_are_named(shared: System) -> None:
    for path, body, status in (
        ("/agent-signatures/sign", {"agent_id": "nobody", "content": "x"}, 404),
        ("/agent-signatures/sign", {"agent_id": AGENT}, 422),
        ("/agent-signatures/sign", {"agent_id": AGENT, "content": "x", "more": 1}, 422),
        ("/agent-signatures/sign", {"agent_id": AGENT, "content": "x" * 100_001}, 422),
        ("/agent-signatures/verify", {"agent_id": AGENT, "content": "x", "signature": "x" * 8_193}, 422),
        ("/agents/validate", {"agent_id": AGENT}, 422),
        ("/agents/validate", {"agent_id": AGENT, "response": "x"}, 422),
    ):
        response = await shared.http.post(f"{API}{path}", json=body)
        assert response.status_code == status, (path, response.text)
        assert response.json()["success"] is False
    half = await shared.http.post(
        f"{API}/agent-signatures/sign",
        content=f'{{"agent_id": "{AGENT}", "content": "\\ud800"}}',
        headers={"content-type": "application/json"},
    )
    assert half.status_code in {400, 422}, half.text

"""What the API says of itself is true for what happens seldom by chance."""

from typing import Any
from uuid import uuid4

import httpx

from tests.contracts.fuzzing import CHECKS, assert_enveloped
from tests.system import AGENT, CHAT

UPSTREAM = 502


def test_what_happens_seldom_by_chance_fits_the_description_too(described: Any) -> None:
    chat, session = described[CHAT]["POST"], described[f"{CHAT}/{{session_id}}"]

    def say(message: str, status: int, **more: Any) -> Any:
        body = {"agent_id": AGENT, "message": message, **more}
        case = chat.Case(body=body, media_type="application/json", headers={"Idempotency-Key": uuid4().hex})
        response = case.call()
        assert response.status_code == status
        case.validate_response(response, checks=CHECKS[status == UPSTREAM :])
        assert_enveloped(response)
        return response.json()

    session_id = say("Hello.", 200)["session_id"]
    context = {"context": {"session_id": session_id}}
    say("Slowly. [[delay 1]]", 202, wait=False, **context)
    say("Refuse me. [[fail 401]]", 502, **context)
    say("word " * 19_000, 413, **context)
    say("Hello, Amy.", 409, **(context | {"agent_id": "amy_cfo"}))
    say("Hello, nobody.", 404, agent_id="nobody")
    path = {"session_id": session_id}
    turns = session["GET"].Case(path_parameters=path).call_and_validate(checks=CHECKS).json()["turns"]
    assert [turn["status"] for turn in turns] == ["completed", "completed", "failed", "failed"]
    for _ in range(2):
        session["DELETE"].Case(path_parameters=path).call_and_validate(checks=CHECKS)
    say("Too late.", 409, **context)
    for name in ("usage", "ledger"):
        operation = described[f"/api/v1/cost-management/{name}"]["GET"]
        response = operation.Case(query={"limit": 5} if name == "ledger" else {"group_by": "key"}).call_and_validate(
            checks=CHECKS
        )
        assert response.status_code == 200


def test_what_is_not_described_is_refused_in_the_envelope(served: str) -> None:
    with httpx.Client(base_url=served) as http:
        for method, path, status in (
            ("GET", "/api/v1/nothing", 404),
            ("PATCH", CHAT, 405),
            ("GET", CHAT, 405),
            ("POST", f"{CHAT}/a-session", 405),
        ):
            response = http.request(method, path)
            assert response.status_code == status, (method, path)
            assert_enveloped(response)

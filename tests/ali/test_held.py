"""Where Ali's own answers need a person, so do her choices; and a choice that takes long can be asked for again."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.ali.candidates import CandidateFinder
from api.ali.team_service import TeamChooser, TeamRequest
from api.chat.service import ChatService
from api.chat.structured_answers import Requester
from api.http.dependencies import NoPositions
from api.http.handover import WorkHandover
from api.runs.context import RunContext
from domain.agents.commands import seed
from domain.agents.names import ALI
from domain.errors import Unavailable
from domain.revocations import Revocations
from runtime.wiring.parts import agent_files, now
from tests.scripted_model import ScriptedModel
from tests.system import System, until
from workflows.chat.client import ChatClient

QUERY = "/api/v1/agents/ali/query"
COORDINATE = "/api/v1/agents/ali/coordinate"
PENDING = "/api/v1/approvals/pending"
ANSWER = json.dumps({"answer": "Spend less.", "suggested_actions": []})
TEAM = json.dumps(
    {"members": ["amy_cfo", "oliver_pm"], "mode": "parallel", "coordinator": None, "rationale": "Money and product."}
)


@pytest.fixture
async def careful(system: System, scripted_model: ScriptedModel) -> System:
    """A system in which a person lets every answer of Ali's go."""
    ali = next(agent for agent in agent_files() if agent.id == ALI)
    changed = [ali.model_copy(update={"approval": "low"})]
    assert await asyncio.to_thread(seed, system.parts.ledger, changed, now()) == [ALI]
    await until(lambda: system.http.get(f"/api/v1/agents/{ALI}"), lambda answer: answer.json()["approval"] == "low")
    return system


async def decide(system: System, approval_id: str, how: str, **body: Any) -> None:
    await until(lambda: system.http.get(PENDING), lambda it: approval_id in it.text)
    decided = await system.decide(approval_id, how, **body)
    assert decided.status_code == 200, decided.text


async def ended(system: System, location: str) -> dict[str, Any]:
    told = await until(lambda: system.http.get(location), lambda it: it.json()["status"] != "awaiting_approval")
    return dict(told.json())


async def held_question(system: System) -> httpx.Response:
    response = await system.http.post(QUERY, json={"query": "What do we spend?"})
    assert (response.status_code, response.json()["status"]) == (202, "awaiting_approval"), response.text
    assert response.json()["answer"] is None
    return response


async def test_a_held_answer_is_shown_once_a_person_lets_it_go(careful: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"shape": "ali_answer", "text": ANSWER})
    held = await held_question(careful)
    waiting = (await careful.http.get(held.headers["location"])).json()
    assert (waiting["status"], waiting["answer"]) == ("awaiting_approval", None)
    await decide(careful, held.json()["approval_id"], "approve")
    told = await ended(careful, held.headers["location"])
    assert (told["status"], told["answer"], told["approval_id"]) == (
        "completed",
        "Spend less.",
        held.json()["approval_id"],
    )


async def test_an_answer_that_a_person_has_written_anew_is_shown_as_they_wrote_it(
    careful: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"shape": "ali_answer", "text": ANSWER})
    held = await held_question(careful)
    await decide(careful, held.json()["approval_id"], "approve", edited_content="Spend nothing.")
    told = await ended(careful, held.headers["location"])
    assert (told["answer"], told["suggested_actions"]) == ("Spend nothing.", [])


async def test_a_rejected_answer_is_not_shown(careful: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"shape": "ali_answer", "text": ANSWER})
    held = await held_question(careful)
    await decide(careful, held.json()["approval_id"], "reject", reason="Too harsh.")
    told = await ended(careful, held.headers["location"])
    assert (told["status"], told["answer"], told["error"]["code"]) == ("rejected", None, "REJECTED")


async def test_a_choice_that_waits_for_a_person_goes_on_under_the_same_key(
    careful: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"shape": "ali_team_5", "text": TEAM})
    headers, task = {"Idempotency-Key": uuid4().hex}, {"task": "Plan the budget."}
    waiting = await careful.http.post(COORDINATE, json=task, headers=headers)
    assert (waiting.status_code, waiting.json()["status"]) == (202, "awaiting_approval")
    assert waiting.headers["retry-after"] == "30"
    session = (await careful.http.get(waiting.headers["location"])).json()
    assert session["turns"][0]["approval_id"] == waiting.json()["approval_id"]
    await decide(careful, waiting.json()["approval_id"], "approve")
    made = await until(
        lambda: careful.http.post(COORDINATE, json=task, headers=headers), lambda it: "retry-after" not in it.headers
    )
    assert (made.status_code, made.json()["members"]) == (202, ["amy_cfo", "oliver_pm"])


async def test_a_rejected_choice_starts_nothing(careful: System, scripted_model: ScriptedModel) -> None:
    scripted_model.script({"shape": "ali_team_5", "text": TEAM})
    headers, task = {"Idempotency-Key": uuid4().hex}, {"task": "Plan the budget."}
    waiting = await careful.http.post(COORDINATE, json=task, headers=headers)
    await decide(careful, waiting.json()["approval_id"], "reject", reason="Not now.")
    refused = await until(
        lambda: careful.http.post(COORDINATE, json=task, headers=headers), lambda it: "retry-after" not in it.headers
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await careful.http.get("/api/v1/swarm")).json()["data"] == []


async def test_a_choice_that_nobody_can_come_back_for_is_given_up(
    careful: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"shape": "ali_team_5", "text": TEAM})
    refused = await careful.http.post(COORDINATE, json={"task": "Plan the budget."})
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    listed = await until(
        lambda: careful.http.get("/api/v1/approvals"),
        lambda it: [approval["status"] for approval in it.json()["data"]] == ["withdrawn"],
    )
    assert listed.json()["pagination"]["total"] == 1
    assert (await careful.http.get("/api/v1/swarm")).json()["data"] == []


async def test_a_choice_that_takes_too_long_is_joined_by_who_asks_again(
    system: System, scripted_model: ScriptedModel
) -> None:
    scripted_model.script({"shape": "ali_team_5", "text": TEAM, "delay_s": 1.0})
    parts, key = system.parts, uuid4().hex
    await until(lambda: system.http.get("/api/v1/agents"), lambda it: it.json()["total"] > 2)
    context = RunContext(
        ledger=parts.ledger,
        content=parts.content,
        positions=NoPositions(),
        handover=WorkHandover(Revocations(parts.ledger), now),
        now=now,
        call_timeout_s=30,
        pause_s=1,
    )
    conversations = ChatService(ChatClient(system.temporal), parts.admission, parts.chats, context)
    candidates = CandidateFinder(parts.agents, context.positions)
    hurried, patient = (
        TeamChooser(conversations, candidates, parts.chats, parts.content, context.positions, timeout_s=seconds)
        for seconds in (0.3, 30)
    )
    wish, asker = TeamRequest("Plan the budget.", 5), Requester("anonymous", "default", "req_1", key)
    with pytest.raises(Unavailable, match="still being chosen"):
        await hurried.choose(wish, asker)
    choice = await patient.choose(wish, asker)
    assert choice.team.members == ("amy_cfo", "oliver_pm")
    assert await patient.choose(wish, asker) == choice
    assert len(await system.calls(session_id=choice.session_id)) == 1

"""Tools of an MCP server in the whole system: offered to an agent, held for a person, done once, and told of."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from domain.tools.projection import ToolCallRow
from runtime.settings import Settings
from tests.scripted_model import ScriptedModel
from tests.system import System, running, until

MANAGED = "/api/v1/agent-management"
APPROVALS = "/api/v1/approvals"
SCRIPT = Path(__file__).with_name("mcp_server.py")


@dataclass
class Office:
    """A system whose agents have the tools of a small server, and what that server has done to the world."""

    system: System
    model: ScriptedModel
    agent_id: str
    diary: Path

    async def ask(self, message: str) -> dict[str, Any]:
        response = await self.system.say(message, agent_id=self.agent_id)
        assert response.is_success, response.text
        return dict(response.json())

    async def decide(self, session_id: str, decision: str, **body: Any) -> str:
        """Decide what the session waits for, and return the answer that follows."""
        await self.first_decided(decision, **body)

        async def last() -> dict[str, Any]:
            return dict((await self.system.session(session_id))["turns"][-1])

        turn = await until(last, lambda turn: turn["status"] == "completed", seconds=20)
        return str(turn["response"])

    async def first_decided(self, decision: str, **body: Any) -> None:
        """Decide the one thing that waits now, or will soon."""

        async def pending() -> list[dict[str, Any]]:
            listed = (await self.system.http.get(APPROVALS)).json()
            return [each for each in listed["data"] if each["status"] == "pending"]

        [waiting] = await until(pending, bool, seconds=20)
        response = await self.system.http.post(f"{APPROVALS}/{waiting['id']}/{decision}", json=body)
        assert response.status_code == 200, response.text

    async def calls(self, session_id: str) -> list[ToolCallRow]:
        async def rows() -> list[ToolCallRow]:
            return await asyncio.to_thread(self.system.parts.tools.of_session, session_id)

        return await until(rows, lambda rows: bool(rows) and all(row.ended_at for row in rows))

    def written(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []


@pytest_asyncio.fixture
async def office(system_settings: Settings, scripted_model: ScriptedModel, tmp_path: Path) -> AsyncIterator[Office]:
    diary, servers = tmp_path / "diary", tmp_path / "servers.json"
    small = {"command": sys.executable, "args": [str(SCRIPT), str(diary)], "timeout_s": 10}
    servers.write_text(json.dumps({"servers": {"small": small}}))
    async with running(system_settings.model_copy(update={"mcp_servers": servers})) as system:
        yield Office(system, scripted_model, await an_agent(system), diary)


async def an_agent(system: System) -> str:
    body = {
        "name": f"Clerk {uuid4().hex[:8]}",
        "description": "Writes things down.",
        "capabilities": ["notes"],
        "tools": ["small__*", "Read"],
        "system_prompt": "You write things down.",
    }
    made = await system.http.post(f"{MANAGED}/create", json=body)
    assert made.status_code == 201, made.text
    agent_id = str(made.json()["id"])
    assert (await system.http.post(f"{MANAGED}/{agent_id}/deploy", json={})).status_code == 200
    return agent_id


async def test_a_tool_that_reads_is_called_at_once(office: Office) -> None:
    answer = await office.ask('Add. [[call small__add {"a": 1, "b": 2}]]')
    assert answer["response"] == "The tools say: 3"
    offered = office.model.bill()[0]["tools"]
    assert {"small__add", "small__note", "search_knowledge"} <= set(offered)
    [call] = await office.calls(answer["session_id"])
    assert (call.name, call.state, call.effect, call.sources) == ("small__add", "ok", "read", ["mcp:small/add"])
    assert call.workflow_id == answer["workflow_id"]


async def test_a_tool_that_writes_waits_for_a_person_and_does_what_that_person_left(office: Office) -> None:
    held = await office.ask('Note. [[call small__note {"text": "mine"}]]')
    assert held["status"] == "awaiting_approval"
    assert office.written() == []
    response = await office.decide(held["session_id"], "approve", edited_content='{"text": "ours"}')
    assert response == "The tools say: noted"
    [call] = await office.calls(held["session_id"])
    assert office.written() == [f"ours ({call.tool_call_id})"]
    assert (call.state, call.effect) == ("ok", "write")


@pytest.mark.parametrize("edited", ['{"text": 5}', "{}", '{"text": "ours", "more": [}', '["ours"]'])
async def test_an_edit_that_the_tool_cannot_take_is_refused_at_the_decision(office: Office, edited: str) -> None:
    held = await office.ask('Note. [[call small__note {"text": "mine"}]]')
    [waiting] = (await office.system.http.get(f"{APPROVALS}/pending")).json()["pending_approvals"]
    address = f"{APPROVALS}/{waiting['id']}"
    refused = await office.system.http.post(f"{address}/approve", json={"edited_content": edited})
    assert refused.status_code == 422
    assert refused.json()["error"]["details"]["field"] == "edited_content"
    run = office.system.temporal.get_workflow_handle(waiting["id"])
    await run.signal("approve", {"by": "somebody", "edited_content": edited})

    async def steps() -> list[str]:
        return [step["event"] for step in (await office.system.http.get(address)).json()["history"]]

    await until(steps, lambda steps: "signal_refused" in steps, seconds=20)
    assert office.written() == []
    assert (
        await office.decide(held["session_id"], "approve", edited_content='{"text": "ours"}') == "The tools say: noted"
    )


async def test_a_tool_that_a_person_refused_was_not_called(office: Office) -> None:
    held = await office.ask('Note. [[call small__note {"text": "mine"}]]')
    response = await office.decide(held["session_id"], "reject", reason="Not today.")
    assert "Not today." in response
    assert office.written() == []
    [call] = await office.calls(held["session_id"])
    assert (call.state, call.started_at) == ("refused", None)
    assert await tools_used(office, held["session_id"]) == []


async def test_of_two_calls_of_a_tool_the_one_that_was_let_go_was_used(office: Office) -> None:
    held = await office.ask('Note. [[call small__note {"text": "one"}]][[call small__note {"text": "two"}]]')
    await office.first_decided("reject", reason="Not this one.")
    await office.decide(held["session_id"], "approve")
    assert len(office.written()) == 1
    assert await tools_used(office, held["session_id"]) == ["small__note"]


async def test_a_call_that_nobody_has_decided_is_not_held_against_those_that_were_made(office: Office) -> None:
    held = await office.ask('Both. [[call small__add {"a": 1, "b": 2}]][[call small__note {"text": "mine"}]]')
    await office.decide(held["session_id"], "reject", reason="No.")
    assert await tools_used(office, held["session_id"]) == ["small__add"]


async def tools_used(office: Office, session_id: str) -> list[str]:
    [turn] = (await office.system.session(session_id))["turns"]
    return list(turn["tools_used"])


async def test_a_write_that_broke_off_is_told_as_unknown_and_not_done_twice(office: Office) -> None:
    held = await office.ask('Go. [[call small__die {"text": "sent"}]]')
    response = await office.decide(held["session_id"], "approve")
    assert "small__die was called, and brought no answer" in response
    assert office.written() == ["sent"]
    [call] = await office.calls(held["session_id"])
    assert call.state == "unknown"

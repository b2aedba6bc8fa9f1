"""Streams of the whole system: server-sent events and sockets, during work and after it, resumed at every frame.

The last part goes through uvicorn, as clients meet it: handshakes, limits, floods.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.http import server
from runtime.processes.api import MAX_SOCKET_FRAME
from tests.fuzz_seed import SEED
from tests.live.real_server import collect, odd_frame, said, serving
from tests.live.socket_client import Refusal, connected
from tests.scripted_model import ScriptedModel
from tests.system import ADMIN_KEY, AGENT, CHAT, System

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOW = "[[pace 0.05]] [[tokens 40]] Tell me more"


async def frames_of(shared: System, path: str, **more: Any) -> list[dict[str, Any]]:
    """The frames of a stream that ends by itself."""
    response = await shared.http.get(path, **more)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    events = [part for part in response.text.split("\n\n") if "data: " in part]
    frames = []
    for event in events:
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        frame = orjson.loads(fields["data"])
        assert fields.get("id") == (None if frame["seq"] is None else str(frame["seq"]))
        frames.append(frame)
    return frames


def text_of(frames: list[dict[str, Any]]) -> str:
    """What a client has that adds pieces and drops them at a reset."""
    text = ""
    for frame in frames:
        if frame["type"] == "delta":
            text += frame["data"]["text"]
        elif frame["type"] in {"reset", "session"}:
            text = ""
        elif frame["type"] == "final":
            text = frame["data"]["response"]
    return text


async def test_a_conversation_is_shown_while_it_goes_on_and_again_after_it(
    shared: System, scripted_model: ScriptedModel
) -> None:
    accepted = await shared.say(SLOW, wait=False)
    session_id = accepted.json()["session_id"]
    during = await frames_of(shared, f"{CHAT}/{session_id}/stream")
    assert [frame["seq"] for frame in during] == list(range(1, len(during) + 1))
    kinds = [frame["type"] for frame in during]
    assert kinds[0] == "session"
    assert kinds[-1] == "final"
    assert kinds[1:-1] == ["delta"] * len(kinds[1:-1])
    assert kinds.count("delta") > 1
    session = await shared.settled(session_id)
    answer = session["turns"][0]["response"]
    assert during[-1]["data"]["response"] == answer
    assert "".join(frame["data"]["text"] for frame in during if frame["type"] == "delta") == answer
    assert await frames_of(shared, f"{CHAT}/{session_id}/stream") == during
    for seen in range(len(during)):
        rest = await frames_of(shared, f"{CHAT}/{session_id}/stream", headers={"Last-Event-ID": str(seen)})
        assert during[:seen] + rest == during


async def test_two_turns_are_one_stream_and_a_follower_sees_both(shared: System, scripted_model: ScriptedModel) -> None:
    session_id = (await shared.say("One")).json()["session_id"]
    async with connected(shared.app, f"/ws/agents/{AGENT}?session_id={session_id}&after=0") as socket:
        first = await socket.until("final")
        await socket.send({"type": "message", "message": SLOW})
        second = await socket.until("final")
        frames = [*first, *second]
        assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
        assert [frame["data"]["turn"] for frame in frames if frame["type"] == "session"] == [1, 2]
    assert await frames_of(shared, f"{CHAT}/{session_id}/stream") == frames


async def test_a_socket_opens_a_session_and_answers_a_ping(shared: System, scripted_model: ScriptedModel) -> None:
    async with connected(shared.app, f"/ws/agents/{AGENT}") as socket:
        await socket.send({"type": "ping"})
        pong = await socket.receive()
        assert pong is not None
        assert (pong["seq"], pong["type"]) == (None, "pong")
        await socket.send({"type": "message", "message": "Hello"})
        frames = await socket.until("final")
        session_id = frames[0]["data"]["session_id"]
    session = await shared.session(session_id)
    assert text_of(frames) == session["turns"][0]["response"]


async def test_a_socket_without_after_begins_with_what_goes_on_now(
    shared: System, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("One")).json()["session_id"]
    async with connected(shared.app, f"/ws/agents/{AGENT}?session_id={session_id}") as socket:
        await asyncio.sleep(0.2)
        await socket.send({"type": "message", "message": "Two"})
        frames = await socket.until("final")
    assert frames[0]["type"] == "session"
    assert frames[0]["data"]["turn"] == 2
    assert frames[0]["seq"] > 1


async def test_what_is_wrong_with_a_frame_is_told_and_the_socket_lives(
    shared: System, scripted_model: ScriptedModel
) -> None:
    async with connected(shared.app, f"/ws/agents/{AGENT}") as socket:
        for text in ("{", "[]", "null", '{"type": 1}', '{"type": "message"}', '{"type": "message", "message": " "}'):
            await socket.send_text(text)
            refused = await socket.receive()
            assert refused is not None
            assert (refused["seq"], refused["type"]) == (None, "error")
            assert refused["data"]["code"] in {"BAD_REQUEST", "VALIDATION_ERROR"}
        await socket.send_bytes(b"\x00")
        assert (await socket.receive() or {})["data"]["code"] == "BAD_REQUEST"
        await socket.send({"type": "message", "message": "Hi", "session_id": "task_of_a_swarm"})
        assert (await socket.receive() or {})["data"]["code"] == "VALIDATION_ERROR"
        await socket.send({"type": "message", "message": "Hello"})
        assert (await socket.until("final"))[-1]["data"]["status"] == "completed"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ws/agents/nobody", 404),
        (f"/ws/agents/{AGENT}?after=x", 422),
        (f"/ws/agents/{AGENT}?session_id=task_of_a_swarm", 422),
        ("/ws/workflows/nothing", 404),
        ("/ws/workflows/nothing?execution_id=exec_nothing", 404),
        ("/ws/metrics?token=cvg_no-such-key", 401),
    ],
)
async def test_a_socket_is_refused_as_a_request_is(shared: System, path: str, status: int) -> None:
    with pytest.raises(Refusal) as refused:
        async with connected(shared.app, path):
            pass
    assert refused.value.status == status
    assert refused.value.body["success"] is False


async def test_a_token_comes_in_the_address_or_as_a_subprotocol_and_stays_out_of_the_address(shared: System) -> None:
    async with connected(shared.app, f"/ws/metrics?token={ADMIN_KEY}&x=1") as socket:
        assert socket.scope["query_string"] == b"x=1"
    async with connected(shared.app, "/ws/metrics", subprotocols=("convergio", ADMIN_KEY)) as socket:
        assert socket.subprotocol == "convergio"
    with pytest.raises(Refusal):
        async with connected(shared.app, "/ws/metrics", subprotocols=("convergio", "cvg_no-such-key")):
            pass


async def test_figures_come_as_a_snapshot_and_again_when_they_change(
    shared: System, scripted_model: ScriptedModel
) -> None:
    async with connected(shared.app, "/ws/metrics") as socket:
        first = await socket.receive()
        assert first is not None
        assert (first["seq"], first["type"]) == (1, "snapshot")
        await shared.say("One more")
        changed = await socket.receive()
        assert changed is not None
        assert changed["seq"] == 2
        before, after = first["metrics"]["total_conversations"], changed["metrics"]["total_conversations"]
        assert after >= before


async def test_a_key_that_is_revoked_loses_its_open_socket_at_once(shared: System) -> None:
    made = (await shared.http.post("/api/v1/keys", json={"name": "of a socket", "scopes": ["read", "write"]})).json()
    async with connected(shared.app, f"/ws/agents/{AGENT}?token={made['key']}") as socket:
        await socket.send({"type": "ping"})
        assert (await socket.receive() or {})["type"] == "pong"
        assert (await shared.http.delete(f"/api/v1/keys/{made['id']}")).status_code == 200
        told = await socket.receive(2)
        assert told is not None
        assert told["data"]["code"] == "UNAUTHORIZED"
        assert await socket.receive(2) is None
        assert socket.closed == 1008


async def test_a_key_without_the_scope_opens_no_socket_to_an_agent(shared: System) -> None:
    made = (await shared.http.post("/api/v1/keys", json={"name": "reads", "scopes": ["read"]})).json()
    with pytest.raises(Refusal) as refused:
        async with connected(shared.app, f"/ws/agents/{AGENT}?token={made['key']}"):
            pass
    assert refused.value.status == 403
    async with connected(shared.app, f"/ws/metrics?token={made['key']}") as socket:
        assert (await socket.receive() or {})["type"] == "snapshot"


async def test_a_swarm_is_shown_turn_by_turn_to_its_result(shared: System, scripted_model: ScriptedModel) -> None:
    asked = {"task": "Plan a launch", "agents": ["amy_cfo", "jony_creative_director"], "coordination_mode": "parallel"}
    task_id = (await shared.http.post("/api/v1/swarm/coordinate", json=asked)).json()["task_id"]
    frames = await frames_of(shared, f"/api/v1/swarm/{task_id}/stream")
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[0]["type"] == "state"
    assert frames[-1]["type"] == "final"
    status = (await shared.http.get(f"/api/v1/swarm/status/{task_id}")).json()
    assert frames[-1]["data"]["result"] == status["result"]
    ended = [frame["data"] for frame in frames if frame["type"] == "turn" and frame["data"]["status"] == "completed"]
    assert {"amy_cfo", "jony_creative_director"} <= {each["agent_id"] for each in ended}
    assert all(each["response"] for each in ended)
    assert await frames_of(shared, f"/api/v1/swarm/{task_id}/stream?after=2") == frames[2:]


DRAWN = {
    "name": "Two steps",
    "nodes": [
        {"id": "first", "type": "agent", "agent": AGENT, "prompt": "{{ input.request }}"},
        {"id": "second", "type": "transform", "set": {"said": "nodes.first.output"}},
    ],
    "edges": [{"from": "first", "to": "second"}],
}


async def test_an_execution_is_shown_node_by_node_by_both_kinds_of_stream(
    shared: System, scripted_model: ScriptedModel
) -> None:
    made = await shared.http.post("/api/v1/workflows", json=DRAWN)
    workflow_id = made.json()["id"]
    path = f"/api/v1/workflows/{workflow_id}"
    begun = (await shared.http.post(f"{path}/execute", json={"input": {"request": "Go"}})).json()
    frames = await frames_of(shared, f"{path}/executions/{begun['execution_id']}/stream")
    assert [frame["seq"] for frame in frames] == list(range(1, len(frames) + 1))
    assert frames[-1]["type"] == "final"
    status = (await shared.http.get(f"{path}/status")).json()
    assert frames[-1]["data"]["result"] == status["result"]
    ended = [(f["data"]["node"], f["data"]["status"]) for f in frames if f["type"] == "node"]
    assert ("first", "completed") in ended
    assert ("second", "completed") in ended
    async with connected(shared.app, f"/ws/workflows/{workflow_id}") as socket:
        assert await socket.until("final") == frames
        await socket.send({"type": "message", "message": "Hi"})
        assert (await socket.receive() or {})["data"]["code"] == "VALIDATION_ERROR"
    async with connected(
        shared.app, f"/ws/workflows/{workflow_id}?execution_id={begun['execution_id']}&after=2"
    ) as socket:
        assert await socket.until("final") == frames[2:]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(shared: System) -> AsyncIterator[str]:
    async with serving(shared) as at:
        yield at


async def test_a_stream_arrives_while_the_answer_is_made(
    shared: System, address: str, scripted_model: ScriptedModel
) -> None:
    session_id = (await shared.say("[[pace 0.04]] [[tokens 40]] Tell me", wait=False)).json()["session_id"]
    clock = asyncio.get_running_loop().time
    async with (
        httpx.AsyncClient(base_url=f"http://{address}", timeout=20) as http,
        http.stream("GET", f"{CHAT}/{session_id}/stream") as response,
    ):
        arrived = [clock() async for line in response.aiter_lines() if line.startswith("data: ")]
    assert len(arrived) > 5
    assert arrived[-1] - arrived[0] > 0.2


async def test_a_browser_speaks_through_its_subprotocol_and_the_key_is_in_no_log(
    shared: System, address: str, scripted_model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = f"ws://{address}/ws/agents/{AGENT}"
    async with connect(path, subprotocols=["convergio", ADMIN_KEY]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "convergio"
        await socket.send('{"type": "message", "message": "Hello"}')
        while (frame := await said(socket))["type"] != "final":
            assert frame["type"] in {"session", "delta"}
    async with connect(f"{path}?token={ADMIN_KEY}") as socket:
        await socket.send('{"type": "ping"}')
        assert (await said(socket))["type"] == "pong"
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{path}?token=cvg_wrong").__aenter__()
    assert refused.value.response.status_code == 401
    assert orjson.loads(refused.value.response.body or b"")["error"]["code"] == "UNAUTHORIZED"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    server_logs = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert any("/ws/agents" in line for line in server_logs)
    assert not [line for line in server_logs if "cvg_" in line]


async def test_a_page_of_another_origin_opens_no_socket(address: str) -> None:
    with pytest.raises(InvalidStatus):
        await connect(f"ws://{address}/ws/metrics", origin="https://evil.example").__aenter__()  # type: ignore[arg-type]


async def test_a_socket_outlives_the_deadlines_of_requests(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(server, "BODY_TIMEOUT_S", 0.2)
    async with connect(f"ws://{address}/ws/agents/{AGENT}") as socket:
        await asyncio.sleep(0.6)
        await socket.send('{"type": "ping"}')
        assert (await said(socket))["type"] == "pong"


async def test_a_frame_that_is_too_large_closes_the_socket_and_nothing_else(address: str) -> None:
    async with connect(f"ws://{address}/ws/agents/{AGENT}") as socket:
        await socket.send("x" * (MAX_SOCKET_FRAME + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    async with connect(f"ws://{address}/ws/metrics") as socket:
        assert (await said(socket))["type"] == "snapshot"


async def test_a_flood_is_refused_frame_by_frame_and_then_closed(address: str) -> None:
    async with connect(f"ws://{address}/ws/metrics") as socket:
        for _ in range(400):
            await socket.send("{")
        frames: list[dict[str, Any]] = []
        with pytest.raises(ConnectionClosed):
            await collect(socket, frames)
        codes = [frame["data"]["code"] for frame in frames if frame["type"] == "error"]
        assert socket.close_code == 1008
    assert "RATE_LIMIT_EXCEEDED" in codes
    assert len(codes) <= 202


async def test_whatever_a_client_sends_is_answered_or_closes_its_socket(
    address: str, scripted_model: ScriptedModel
) -> None:
    chance = random.Random(SEED)  # noqa: S311  (a fuzzer, not a secret)
    for path in (f"/ws/agents/{AGENT}", "/ws/metrics"):
        async with connect(f"ws://{address}{path}") as socket:
            for _ in range(40):
                await socket.send(odd_frame(chance))
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.5)
            await socket.send('{"type": "ping"}')
            while (frame := await said(socket))["type"] != "pong":
                assert frame["type"] in {"error", "session", "delta", "final", "snapshot", "change"}
                assert frame.get("data", {}).get("code") != "INTERNAL_ERROR"

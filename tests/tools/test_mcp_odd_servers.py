"""MCP servers that forget sessions, list what cannot be read, or do not end when they should."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from activities.tools.toolbox.registry import JoinedToolbox
from adapters.mcp.config import McpServer
from adapters.mcp.tools import McpTools
from domain.tools.ports import ToolFailed, ToolState
from tests.tools.calls import CONTEXT
from tests.tools.odd_server import ADD, OddServer, listening

GUARD = str(Path(__file__).parents[2] / "adapters" / "mcp" / "process_guard.py")
DANGLING = {"type": "object", "properties": {"a": {"$ref": "#/$defs/nothing"}}}

NOT_FOUND_IN_WORDS = json.dumps(
    {"jsonrpc": "2.0", "id": None, "error": {"code": -32001, "message": "Session not found"}}
)
FORGETS: dict[str, dict[str, Any]] = {
    "JSON-RPC error with a code of its own": {
        "status": 404,
        "text": NOT_FOUND_IN_WORDS,
        "content_type": "application/json",
    },
    "JSON-RPC error that looks like an unknown method": {
        "status": 404,
        "text": '{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"Method not found"}}',
        "content_type": "application/json",
    },
    "nothing but the status": {"status": 404},
    "a page of a proxy": {"status": 404, "text": "<h1>404</h1>", "content_type": "text/html"},
    "400 and a session in words": {
        "status": 400,
        "text": '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session ID provided"}}',
        "content_type": "application/json",
    },
    "410 and a session in words": {"status": 410, "text": "Session expired"},
}


@pytest_asyncio.fixture
async def odd() -> AsyncIterator[OddServer]:
    async with listening(OddServer()) as server:
        yield server


async def called(source: McpTools, name: str = "odd__add") -> str:
    return (await (await source.tool(name)).call({}, CONTEXT)).text


@pytest.mark.parametrize("effect", ["read", "write"])
@pytest.mark.parametrize("forgets", FORGETS.values(), ids=FORGETS)
async def test_a_forgotten_session_is_opened_again_at_once_and_the_call_is_made_once(
    odd: OddServer, forgets: dict[str, Any], effect: str
) -> None:
    odd.forgets = forgets
    odd.tools = [{**ADD, "annotations": {"readOnlyHint": effect == "read"}}]
    source = McpTools("odd", McpServer(url=odd.url))
    assert await called(source) == "done"
    odd.sessions.clear()
    async with asyncio.timeout(5):
        assert await called(source) == "done"
    assert (odd.calls, odd.opened) == (["add", "add"], 2)
    await source.aclose()


async def test_calls_side_by_side_open_one_new_session(odd: OddServer) -> None:
    source = McpTools("odd", McpServer(url=odd.url))
    await source.specs()
    odd.sessions.clear()
    assert await asyncio.gather(*(called(source) for _ in range(8))) == ["done"] * 8
    assert len(odd.calls) == 8
    assert odd.opened <= 3
    await source.aclose()


async def test_a_server_that_forgets_every_session_was_surely_not_called(odd: OddServer) -> None:
    source = McpTools("odd", McpServer(url=odd.url))
    tool = await source.tool("odd__add")

    def forget(_: str) -> None:
        odd.sessions.clear()

    odd.sessions = type("Forgetful", (set,), {"add": lambda _, each: forget(each)})()
    with pytest.raises(ToolFailed) as caught:
        await tool.call({}, CONTEXT)
    assert not caught.value.unknown
    assert odd.calls == []
    await source.aclose()


async def test_a_400_that_is_about_the_request_is_the_servers_answer(odd: OddServer) -> None:
    source = McpTools("odd", McpServer(url=odd.url, policy="free"))
    tool = await source.tool("odd__add")
    odd.forgets = {
        "status": 400,
        "text": '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"a is missing"}}',
        "content_type": "application/json",
    }
    odd.sessions.clear()
    with pytest.raises(ToolFailed):
        await tool.call({}, CONTEXT)
    assert odd.opened == 1
    await source.aclose()


BROKEN: dict[str, Any] = {
    "no schema": {"name": "broken"},
    "a schema that is a text": {"name": "broken", "inputSchema": "object"},
    "a schema of another type": {"name": "broken", "inputSchema": {"type": "array"}},
    "a schema that points at nothing": {"name": "broken", "inputSchema": DANGLING},
    "a description that is a number": {**ADD, "name": "broken", "description": 5},
    "annotations that are a list": {**ADD, "name": "broken", "annotations": [1]},
    "no name": {"inputSchema": {"type": "object"}},
    "not an object": "broken",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_tool_that_cannot_be_used_is_set_aside_and_the_others_are_there(odd: OddServer, broken: Any) -> None:
    odd.tools = [broken, ADD]
    source = McpTools("odd", McpServer(url=odd.url))
    assert [spec.name for spec in await source.specs()] == ["odd__add"]
    status = await source.status()
    assert status.problem is None
    assert len(status.quarantined) == 1
    assert await called(source) == "done", "its call does not read the list as a whole either"
    await source.aclose()


SIMPLIFIED: dict[str, Any] = {
    "a schema without a type": {"name": "add", "inputSchema": {"properties": {"a": {"type": "number"}}}},
    "an empty schema": {"name": "add", "inputSchema": {}},
    "a schema of results that points at nothing": {**ADD, "outputSchema": DANGLING},
    "a schema of results that its results do not fit": {
        **ADD,
        "outputSchema": {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "number"}}},
    },
    "a field of a later protocol": {**ADD, "somethingNew": {"a": 1}},
}


@pytest.mark.parametrize("tool", SIMPLIFIED.values(), ids=SIMPLIFIED)
async def test_a_tool_that_can_be_understood_is_used(odd: OddServer, tool: Any) -> None:
    odd.tools = [tool]
    source = McpTools("odd", McpServer(url=odd.url))
    assert await called(source) == "done"
    await source.aclose()


async def test_what_is_mended_on_the_server_is_offered_again(odd: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mcp.tools.LISTING_TTL_S", 0.0)
    source = McpTools("odd", McpServer(url=odd.url))
    odd.tools = [{"name": "add"}]
    assert await source.specs() == ()
    odd.tools = [ADD]
    assert [spec.name for spec in await source.specs()] == ["odd__add"]
    assert (await source.status()).quarantined == {}
    await source.aclose()


async def test_the_state_of_each_tool_is_told_with_its_reason(odd: OddServer) -> None:
    odd.tools = [ADD, {"name": "broken", "inputSchema": DANGLING}]
    away = McpServer(url="http://127.0.0.1:9/mcp")
    box = JoinedToolbox([], (), {"odd": McpTools("odd", McpServer(url=odd.url)), "away": McpTools("away", away)})
    states = await box.states(["odd__*", "odd__gone", "away__tool", "query_costs"])
    assert [(state.name, state.state) for state in states] == [
        ("odd__add", "offered"),
        ("odd__broken", "quarantined"),
        ("odd__gone", "unavailable"),
        ("away__tool", "unavailable"),
        ("query_costs", "not_configured"),
    ]
    assert states[0] == ToolState("odd__add", "offered")
    assert "nothing" in (states[1].reason or "")
    assert [status.problem is None for status in await box.source_statuses()] == [False, True]
    await box.aclose()


STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""
WRAPPED = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@pytest.mark.parametrize("through", [[], ["-c", WRAPPED]], ids=["itself", "started by another program"])
async def test_a_program_that_ignores_its_end_dies_with_a_killed_worker(tmp_path: Path, through: list[str]) -> None:
    pid_file = tmp_path / "pid"
    script = textwrap.dedent(STUBBORN)
    command = [sys.executable, *through, *([script] if through else ["-c", script]), str(pid_file)]
    worker = f"""
        import os, subprocess, sys, time
        subprocess.Popen(
            [sys.executable, {GUARD!r}, str(os.getpid()), *{command!r}], stdin=subprocess.PIPE, start_new_session=True
        )
        time.sleep(600)
    """
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(worker))
    pid = await _pid(pid_file)
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while _is_alive(pid):  # noqa: ASYNC110  (there is no event of a stranger's end)
            await asyncio.sleep(0.05)


async def test_closing_a_program_that_ignores_its_end_kills_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    server = McpServer(command=sys.executable, args=("-c", textwrap.dedent(STUBBORN), str(pid_file)))
    source = McpTools("odd", server)
    listing = asyncio.create_task(source.specs())
    pid = await _pid(pid_file)
    await asyncio.gather(source.aclose(), listing)
    assert not _is_alive(pid)


def test_the_end_of_a_guarded_program_is_the_guards() -> None:
    for code, expected in (("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 128 + signal.SIGKILL)):
        guarded = [sys.executable, GUARD, str(os.getpid()), sys.executable, "-c", code]
        assert subprocess.run(guarded, check=False, start_new_session=True).returncode == expected


async def _pid(file: Path) -> int:
    async with asyncio.timeout(20):
        while not file.exists() or not file.read_text():  # noqa: ASYNC110, ASYNC240  (the same)
            await asyncio.sleep(0.02)
    return int(file.read_text())  # noqa: ASYNC240


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

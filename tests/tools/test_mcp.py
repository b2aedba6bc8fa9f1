"""The tools of MCP servers: real ones, over both transports, that die and come back."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from adapters.mcp import tools as mcp_tools
from adapters.mcp.config import McpServer
from adapters.mcp.tools import McpTools
from domain.tools.ports import ToolFailed, ToolResult
from tests.tools.calls import CONTEXT

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCRIPT = Path(__file__).with_name("mcp_server.py")


@dataclass
class OverHttp:
    """The server as a process that listens; `stop` is `kill -9`."""

    diary: Path
    port: int = 0
    process: "subprocess.Popen[str] | None" = None

    def start(self) -> None:
        command = [sys.executable, str(SCRIPT), str(self.diary), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    @property
    def config(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}/mcp"}


@dataclass
class Small:
    """A source of the small server's tools, and what the server has done to the world."""

    source: McpTools
    diary: Path

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        tool = await self.source.tool(f"small__{name}")
        return await tool.call(arguments, CONTEXT)

    async def failed(self, name: str, **arguments: Any) -> ToolFailed:
        with pytest.raises(ToolFailed) as caught:
            await self.call(name, **arguments)
        return caught.value

    def written(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []


def config(diary: Path, http: OverHttp | None, **more: Any) -> McpServer:
    way_in = http.config if http else {"command": sys.executable, "args": (str(SCRIPT), str(diary))}
    return McpServer(**{**way_in, "timeout_s": 5, **more})


@pytest.fixture
def http(tmp_path: Path) -> Iterator[OverHttp]:
    server = OverHttp(tmp_path / "diary")
    server.start()
    yield server
    server.stop()


@pytest_asyncio.fixture(params=["stdio", "http"], scope="module", loop_scope="module")
async def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Small]:
    """One server for all tests of a transport that leave it alive."""
    diary = tmp_path_factory.mktemp(request.param) / "diary"
    http = OverHttp(diary) if request.param == "http" else None
    if http:
        http.start()
    source = McpTools("small", config(diary, http))
    yield Small(source, diary)
    await source.aclose()
    if http:
        http.stop()


async def test_tools_are_offered_with_the_policy_that_their_effect_asks_for(small: Small) -> None:
    specs = {spec.name: spec for spec in await small.source.specs()}
    assert (specs["small__add"].effect, specs["small__add"].policy) == ("read", "free")
    assert (specs["small__note"].effect, specs["small__note"].policy) == ("write", "approval")
    assert specs["small__add"].description == "Add two numbers."
    assert specs["small__add"].parameters["required"] == ["a", "b"]
    assert specs["small__add"].timeout_s > 5
    assert "small__odd_name_of_a_tool" in specs


async def test_a_call_is_answered_and_its_source_named(small: Small) -> None:
    result = await small.call("add", a=1, b=2)
    assert result == ToolResult("3", ("mcp:small/add",))
    assert (await small.call("odd_name_of_a_tool")).text == "odd"


async def test_a_call_carries_its_id(small: Small) -> None:
    await small.call("note", text="hello")
    assert f"hello ({CONTEXT.tool_call_id})" in small.written()


async def test_what_the_server_calls_a_failure_is_one_in_its_words(small: Small) -> None:
    failure = await small.failed("fail", why="No moon tonight.")
    assert "No moon tonight." in str(failure)
    assert not failure.unknown


async def test_what_is_not_text_is_left_out_and_says_so(small: Small) -> None:
    assert (await small.call("picture")).text == "Look:\n[something that is not text was left out]"


async def test_calls_run_side_by_side(small: Small) -> None:
    began = time.monotonic()
    await small.call("add", a=0, b=0)
    await asyncio.gather(*(small.call("wait", seconds=1) for _ in range(4)))
    assert time.monotonic() - began < 3.5
    assert small.written().count("waited") == 4


async def test_a_write_whose_connection_broke_is_unknown_and_not_repeated(http: OverHttp) -> None:
    small = Small(McpTools("small", config(http.diary, http)), http.diary)
    failure = await small.failed("die", text="sent")
    assert failure.unknown
    assert "brought no answer" in str(failure)
    assert small.written() == ["sent"]
    await small.source.aclose()


async def test_a_write_that_takes_too_long_is_unknown(tmp_path: Path) -> None:
    source = McpTools("small", config(tmp_path / "diary", None, timeout_s=0.3))
    failure = await Small(source, tmp_path / "diary").failed("wait", seconds=3)
    assert failure.unknown
    await source.aclose()


async def test_a_read_is_repeated_on_a_new_connection(tmp_path: Path) -> None:
    small = Small(McpTools("small", config(tmp_path / "diary", None)), tmp_path / "diary")
    assert (await small.call("lookup", what="moon")).text == "found moon"
    assert small.written() == ["looked for moon"] * 2
    await small.source.aclose()


async def test_after_a_death_the_next_call_connects_again(tmp_path: Path) -> None:
    small = Small(McpTools("small", config(tmp_path / "diary", None)), tmp_path / "diary")
    failure = await small.failed("die", text="sent")
    assert failure.unknown
    await small.call("note", text="and again")
    assert small.written() == ["sent", f"and again ({CONTEXT.tool_call_id})"]
    await small.source.aclose()


@pytest.mark.parametrize("tool", ["add", "note"])
async def test_a_server_that_was_started_anew_is_found_again(http: OverHttp, tool: str) -> None:
    small = Small(McpTools("small", config(http.diary, http)), http.diary)
    await small.source.specs()
    await asyncio.to_thread(http.stop)
    await asyncio.to_thread(http.start)
    arguments = {"a": 1, "b": 2} if tool == "add" else {"text": "still here"}
    assert (await small.call(tool, **arguments)).text in {"3", "noted"}
    await small.source.aclose()


@pytest.mark.parametrize("tool", ["add", "note"])
async def test_a_server_that_is_down_was_surely_not_called(http: OverHttp, tool: str) -> None:
    small = Small(McpTools("small", config(http.diary, http)), http.diary)
    await small.source.specs()
    await asyncio.to_thread(http.stop)
    failure = await small.failed(tool, **({"a": 1, "b": 2} if tool == "add" else {"text": "hello"}))
    if tool == "note":
        assert not failure.unknown
        assert "was not called" in str(failure)
    await small.source.aclose()


async def test_a_server_that_is_away_offers_nothing_and_is_offered_again_when_it_is_back(
    http: OverHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_tools, "LISTING_TTL_S", 0.0)
    source = McpTools("small", config(http.diary, http))
    assert await source.specs()
    await asyncio.to_thread(http.stop)
    assert await source.specs() == ()
    with pytest.raises(ToolFailed, match="not there now"):
        await source.tool("small__add")
    began = time.monotonic()
    assert await source.specs() == ()
    assert time.monotonic() - began < 0.1, "while it rests nobody waits for it"
    await asyncio.to_thread(http.start)
    async with asyncio.timeout(20):
        while not await source.specs():  # noqa: ASYNC110  (it is the thing that is asked for)
            await asyncio.sleep(0.2)
    await source.aclose()


@pytest.mark.parametrize("command", ["/no/such/program", sys.executable])
async def test_a_program_that_is_no_server_offers_nothing(command: str, tmp_path: Path) -> None:
    server = McpServer(command=command, args=("-c", "print('hello')"))
    source = McpTools("small", server)
    assert await source.specs() == ()
    await source.aclose()


async def test_the_list_is_believed_for_a_while_and_unchanged_tools_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = McpTools("small", config(tmp_path / "diary", None))
    first = await source.specs()
    began = time.monotonic()
    assert [id(spec) for spec in await source.specs()] == [id(spec) for spec in first]
    assert time.monotonic() - began < 0.01
    monkeypatch.setattr(mcp_tools, "LISTING_TTL_S", 0.0)
    assert [id(spec) for spec in await source.specs()] == [id(spec) for spec in first]
    await source.aclose()


async def test_a_server_sees_nothing_of_our_environment_but_what_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    small = Small(McpTools("small", config(tmp_path / "diary", None, env={"GIVEN": "1"})), tmp_path / "diary")
    names = (await small.call("environment")).text.split()
    assert "GIVEN" in names
    assert "OPENAI_API_KEY" not in names
    await small.source.aclose()


async def test_only_tools_that_are_listed_are_offered_by_the_policy_that_is_set(tmp_path: Path) -> None:
    server = config(tmp_path / "diary", None, tools=("add", "note"), policy="free")
    source = McpTools("small", server)
    assert {spec.name: spec.policy for spec in await source.specs()} == {"small__add": "free", "small__note": "free"}
    with pytest.raises(ToolFailed):
        await source.tool("small__die")
    await source.aclose()


async def test_a_caller_that_is_stopped_leaves_the_connection_to_others(small: Small) -> None:
    await small.call("add", a=0, b=0)
    waiting = asyncio.create_task(small.call("wait", seconds=30))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await small.call("add", a=1, b=1)).text == "2"


async def test_closing_ends_the_servers_process(tmp_path: Path) -> None:
    source = McpTools("small", config(tmp_path / "diary", None))
    await source.specs()
    assert _runs(tmp_path / "diary")
    await source.aclose()
    assert not _runs(tmp_path / "diary")
    await source.aclose()


def _runs(diary: Path) -> bool:
    listed = subprocess.run(["ps", "-eww", "-o", "args"], capture_output=True, text=True, check=True).stdout
    return str(diary) in listed

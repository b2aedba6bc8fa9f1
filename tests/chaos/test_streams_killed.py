"""A stream whose worker, API or store dies in the middle of an answer: the client's text is the stored text."""

import asyncio
import signal
from typing import Any

import httpx
import orjson
import pytest

from tests.chaos.conftest import Say
from tests.chaos.whole import Whole, within
from tests.system import AGENT, CHAT

pytestmark = pytest.mark.prove

SLOW = "Tell me a long story [[pace 0.1]] [[tokens 60]]"


class Client:
    """A client of one stream that comes back after its last frame whenever the connection breaks."""

    def __init__(self, system: Whole, session_id: str) -> None:
        self.frames: list[dict[str, Any]] = []
        self.connections = 0
        self._system = system
        self._path = f"{CHAT}/{session_id}/stream"

    @property
    def last(self) -> int:
        return max((frame["seq"] for frame in self.frames), default=0)

    @property
    def text(self) -> str:
        text = ""
        for frame in self.frames:
            match frame["type"]:
                case "delta":
                    text += frame["data"]["text"]
                case "reset":
                    text = ""
                case "final":
                    text = frame["data"]["response"]
        return text

    async def follow(self, *, most: int | None = None) -> None:
        """Read until the answer is there; with `most` only so many frames for each connection."""
        while not self.frames or self.frames[-1]["type"] not in {"final", "error"}:
            self.connections += 1
            try:
                await self._read(most)
            except (httpx.HTTPError, AssertionError):
                await asyncio.sleep(0.2)

    async def _read(self, most: int | None) -> None:
        headers = {"Last-Event-ID": str(self.last)}
        async with self._system.http.stream("GET", self._path, headers=headers) as response:
            assert response.status_code == httpx.codes.OK
            got = 0
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    frame = orjson.loads(line[6:])
                    if frame["seq"] is None:
                        continue
                    assert frame["seq"] > self.last
                    self.frames.append(frame)
                    got += 1
                    if got == most:
                        return


async def stored(system: Whole, session_id: str) -> str:
    return str((await system.http.get(f"{CHAT}/{session_id}")).json()["turns"][0]["response"])


@pytest.mark.parametrize("part", ["worker", "api", "valkey"])
async def test_whoever_dies_in_mid_answer_the_clients_text_is_the_stored_one(
    system: Whole, measured: Say, part: str
) -> None:
    begun = await system.http.post(CHAT, json={"agent_id": AGENT, "message": SLOW, "wait": False})
    session_id = begun.json()["session_id"]
    whole, cut = Client(system, session_id), Client(system, session_id)
    following = [asyncio.create_task(whole.follow()), asyncio.create_task(cut.follow(most=1))]
    while len(whole.frames) < 8:  # noqa: ASYNC110  (frames come from another process)
        await asyncio.sleep(0.05)
    system.signal(part, signal.SIGKILL)
    await within(120, asyncio.gather(*following))
    answer = await stored(system, session_id)
    assert whole.text == cut.text == answer
    resets = [frame for frame in whole.frames if frame["type"] == "reset"]
    measured(
        f"{part} killed in mid-answer: {len(whole.frames)} frames on {whole.connections} connections, {len(resets)}"
        f" resets; cut at every frame: {len(cut.frames)} on {cut.connections}; both texts are the stored one"
    )
    if part == "worker":
        assert [reset["data"]["reason"] for reset in resets] == ["retry"]
        assert [frame["seq"] for frame in whole.frames] == list(range(1, len(whole.frames) + 1))
        assert cut.frames == whole.frames

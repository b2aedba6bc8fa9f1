"""Habits of real providers, one file each in `habits/`: what one answers, and what must come of it.

A file holds `habit` (a sentence), `seen` (where), `answers` and what comes of them: `reply` or `failure`. An answer is
played as bytes: a `status` and `headers`, and a `stream` (each item the data of an event: an object, or text as it is),
a `json` body, a `body` of text, or its bytes in `hex` (a list: in so many writes); `silence_s` lies before it,
`pause_s` between events. `request` changes what is asked, `results` answers the tools that the reply asks for, and
`sent` is what the last request must hold (null: not that).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from adapters.openai.model import OpenAIModel
from domain.chat import steps
from domain.chat.model_port import Message, ModelFailure, ModelReply, ModelRequest, ReplySchema, ToolOffer

FOLDER = Path(__file__).parent / "habits"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
TOOLS = (ToolOffer("find_talents", "Finds talents.", {"type": "object"}),)
SCHEMA = ReplySchema("verdict", {"type": "object"})
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "a-model"}
MOST_ASKED = 8


@dataclass(frozen=True)
class Habit:
    """One file of the corpus."""

    habit: str
    seen: str
    answers: list[dict[str, Any]]
    request: dict[str, Any] = field(default_factory=dict)
    reply: dict[str, Any] | None = None
    failure: dict[str, Any] | None = None
    results: list[str] | None = None
    sent: dict[str, Any] = field(default_factory=dict)


def load(name: str) -> Habit:
    return Habit(**yaml.safe_load((FOLDER / f"{name}.yaml").read_text()))


class Player:
    """A server that answers each request with the next of its answers, the last one for ever."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self._answers = answers
        self.requests: list[dict[str, Any]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length: ")[1].split("\r\n")[0])
            self.requests.append(orjson.loads(await reader.readexactly(length)))
            await self._play(self._answers[min(len(self.requests), len(self._answers)) - 1], writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _play(self, answer: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(answer.get("silence_s", 0))
        kind = "text/event-stream" if "stream" in answer else "application/json"
        headers = {"content-type": kind, "connection": "close", **answer.get("headers", {})}
        lines = [f"HTTP/1.1 {answer.get('status', 200)} Said", *(f"{name}: {text}" for name, text in headers.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        for piece in pieces(answer):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(answer.get("pause_s", 0))


def pieces(answer: dict[str, Any]) -> list[bytes]:
    if "stream" in answer:
        return [b"data: %b\n\n" % data(item) for item in answer["stream"]]
    if "json" in answer:
        return [orjson.dumps(answer["json"])]
    if "hex" in answer:
        written = answer["hex"]
        return [bytes.fromhex(piece) for piece in (written if isinstance(written, list) else [written])]
    return [answer.get("body", "").encode()]


def data(item: Any) -> bytes:
    """The data of an event. An object with a `delta` or a `finish_reason` is the only choice of its chunk."""
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, dict) and "repeat" in item:
        return bytes(item["repeat"], "ascii") * item["times"]
    if isinstance(item, dict) and ("delta" in item or "finish_reason" in item):
        item = {**HEAD, "choices": [{"index": 0, "delta": {}, **item}]}
    return orjson.dumps(item)


@asynccontextmanager
async def playing(habit: Habit, *, silence_s: float = 5) -> AsyncIterator[tuple[OpenAIModel, Player]]:
    player = Player(habit.answers)
    server = await asyncio.start_server(player.serve, "127.0.0.1", 0)
    model = OpenAIModel(
        f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", None, "a-model", timeout_s=silence_s
    )
    try:
        yield model, player
    finally:
        await model.aclose()
        server.close()
        await server.wait_closed()


def request_of(habit: Habit) -> ModelRequest:
    asked = habit.request
    messages = (Message("system", "Be brief."), Message("user", "Who knows SQL?"))
    return ModelRequest(
        request_id="call.1",
        model="a-model",
        messages=messages,
        max_tokens=asked.get("max_tokens", 4096),
        temperature=asked.get("temperature"),
        tools=TOOLS if asked.get("tools") or habit.results is not None else (),
        reply_schema=SCHEMA if asked.get("schema") else None,
    )


async def answered(model: OpenAIModel, request: ModelRequest) -> ModelReply:
    """Ask as long as the provider only refuses a parameter, which the next request is made without."""
    for _ in range(MOST_ASKED):
        try:
            return await model.complete(request, lambda _: None)
        except ModelFailure as failed:
            if failed.refuses != "parameter":
                raise
    raise AssertionError("the provider is asked for ever")


def with_results(request: ModelRequest, reply: ModelReply, results: list[str]) -> ModelRequest:
    """The next request of a turn, as one is made of what was stored of the reply."""
    step = steps.TurnStep(steps.encode_tool_reply(reply.text, reply.tool_calls, reply.extra), tuple(results))
    messages = (*request.messages, *steps.messages([step], most=10_000))
    return ModelRequest("call.2", request.model, messages, request.max_tokens, tools=request.tools)

"""Pieces of answers from the provider to sockets, and turns with streaming on and off.

`python -m bench.live [--sockets 500] [--runs 50] [--tokens 100] [--seconds 8] [--sessions 16] [--rounds 2]`. A provider
whose tokens are the moments at which it sends them answers all runs at once, while each is watched by several sockets.
Then two systems, each on servers of its own and one of them with `CONVERGIO_STREAM_ANSWERS=false`, are driven in turn.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
from aiohttp import web
from rich.console import Console
from rich.table import Table

from bench.chat import AGENT, ChatTarget, drive
from bench.stage import Stage

PACE_S = 0.05
_TIMEOUT_S = 300


@dataclass
class Watched:
    """What sockets got: milliseconds from the provider's token to each of them, and frames by socket."""

    latencies: list[float] = field(default_factory=list)
    frames: Counter[int] = field(default_factory=Counter)
    gaps: int = 0


def main() -> None:
    options = argparse.ArgumentParser()
    for name, value in (("sockets", 500), ("runs", 50), ("tokens", 100), ("sessions", 16), ("rounds", 2)):
        options.add_argument(f"--{name}", type=int, default=value)
    options.add_argument("--seconds", type=float, default=8)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory:
        Path(directory).chmod(0o755)
        watched = asyncio.run(_watch(Path(directory) / "watched", given))
        rates = _compare(Path(directory), given)
    _show(watched, rates, given)


async def _watch(directory: Path, given: argparse.Namespace) -> Watched:
    async with _provider(given.tokens) as url:
        with ExitStack() as stack:
            stage = await asyncio.to_thread(Stage, stack, directory)
            stage.environment["OPENAI_BASE_URL"] = url
            base, _ = await asyncio.to_thread(stage.system)
            found = Watched()
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                await _say(http, base, "warm-up")
                names = [f"run-{uuid4().hex}" for _ in range(given.runs)]
                sockets = [
                    asyncio.create_task(_follow(http, base, names[number % given.runs], number, found))
                    for number in range(given.sockets)
                ]
                await asyncio.sleep(3)  # all sockets are open
                await asyncio.gather(*(_say(http, base, name) for name in names))
                await asyncio.wait_for(asyncio.gather(*sockets), _TIMEOUT_S)
            await asyncio.to_thread(stack.close)
            return found


async def _follow(http: aiohttp.ClientSession, base: str, session: str, number: int, found: Watched) -> None:
    url = f"{base.replace('http', 'ws', 1)}/ws/agents/{AGENT}?session_id={session}&after=0"
    last = 0
    async with http.ws_connect(url) as socket:
        async for message in socket:
            now = time.time()
            frame = orjson.loads(message.data)
            if frame["seq"] is None:
                continue
            found.gaps += frame["seq"] != last + 1
            last = frame["seq"]
            found.frames[number] += 1
            if frame["type"] == "delta":
                found.latencies += [(now - float(sent)) * 1000 for sent in frame["data"]["text"].split()]
            if frame["type"] in {"final", "error"}:
                return


async def _say(http: aiohttp.ClientSession, base: str, session: str) -> None:
    body = {"agent_id": AGENT, "message": "Go", "context": {"session_id": session}, "timeout_s": 120}
    async with http.post(f"{base}/api/v1/agents/chat", json=body) as response:
        if not response.ok:
            raise RuntimeError(f"{response.status} {await response.text()}")


class _provider:  # noqa: N801  (used as a function)
    """A provider whose tokens are moments."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(self._tokens):
            await asyncio.sleep(PACE_S)
            await response.write(_chunk({"delta": {"content": f"{time.time():.4f} "}, "finish_reason": None}))
        await response.write(_chunk({"delta": {}, "finish_reason": "stop"}))
        usage = {"prompt_tokens": 10, "completion_tokens": self._tokens, "total_tokens": self._tokens + 10}
        await response.write(b"data: " + orjson.dumps({"id": "c", "choices": [], "usage": usage}) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunk(choice: dict[str, object]) -> bytes:
    return b"data: " + orjson.dumps({"id": "c", "model": "m", "choices": [{"index": 0, **choice}]}) + b"\n\n"


def _compare(directory: Path, given: argparse.Namespace) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        targets = []
        for name in ("on", "off"):
            stage = Stage(stack, directory / name)
            stage.environment["CONVERGIO_STREAM_ANSWERS"] = str(name == "on").lower()
            url, roles = stage.system()
            targets.append(ChatTarget(name, f"{url}/api/v1/agents/chat", roles))
        for target in targets:
            asyncio.run(drive(target, 8, 3))
        for _ in range(given.rounds):
            for target in targets:
                rates.setdefault(target.name, []).append(asyncio.run(drive(target, given.sessions, given.seconds)).rate)
    return rates


def _show(found: Watched, rates: dict[str, list[float]], given: argparse.Namespace) -> None:
    console = Console(width=140)
    table = Table(
        "sockets", "runs", "tokens seen", "p50 ms", "p95 ms", "p99 ms", "gaps", box=None, title="token to socket"
    )
    shares = statistics.quantiles(found.latencies, n=100)
    figures = [f"{shares[share - 1]:.1f}" for share in (50, 95, 99)]
    table.add_row(str(given.sockets), str(given.runs), str(len(found.latencies)), *figures, str(found.gaps))
    console.print(table)
    ratios = [on / off for on, off in zip(rates["on"], rates["off"], strict=True)]
    turns = Table("streaming", "turns/s", "ratio", box=None, title="turns")
    turns.add_row("off", f"{statistics.median(rates['off']):.1f}", "")
    turns.add_row("on", f"{statistics.median(rates['on']):.1f}", f"{statistics.median(ratios):.2f}")
    console.print(turns)


if __name__ == "__main__":
    main()

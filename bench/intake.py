"""Many new sessions at once on one worker, and decisions while models are slow.

`python -m bench intake [--sessions 300,1000] [--delay 0.5] [--calls 150] [--approvals 40]`. The reference is the bare
chat of `bench.reference` with the same sessions; for decisions it is the same system at rest. Everything runs on one
worker with default settings.
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
from typing import Any
from uuid import uuid4

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.chat import AGENT, ChatTarget
from bench.stage import Stage
from runtime.settings import Settings
from tests.scripted_model import ScriptedModel

CHAT = "/api/v1/agents/chat"
PATIENCE_S = 300.0
SLOW_S = 60
"""Seconds of the calls during which decisions are made."""

_NO_ANSWER = 0


@dataclass
class Burst:
    """The outcome of sessions that began at once: answers by status, their seconds, and what the provider billed."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    whole_s: float = 0.0
    completed: int = 0
    billed: int = 0


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sessions", default="300,1000")
    options.add_argument("--delay", type=float, default=0.5)
    options.add_argument("--calls", type=int, default=150)
    options.add_argument("--approvals", type=int, default=40)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        stage = Stage(stack, Path(directory))
        (bare, bare_roles), (url, roles) = stage.reference("bench.reference"), stage.system()
        targets = [ChatTarget("reference", f"{bare}/chat", bare_roles), ChatTarget("convergio", url + CHAT, roles)]
        sizes = [int(size) for size in given.sessions.split(",")]
        asyncio.run(_bursts(targets, stage.model, sizes, given.delay))
        asyncio.run(_decisions(url, stage.model, given.calls, given.approvals))


async def _bursts(targets: list[ChatTarget], model: ScriptedModel, sizes: list[int], delay_s: float) -> None:
    """Print a table for each size as soon as it is known: later ones may fail."""
    model.script(default={"delay_s": delay_s})
    for size in sizes:
        title = f"{size} new sessions at once, one worker, a provider of {delay_s} s"
        table = Table("", "200", "202", "other", "completed", "billed", "p50 s", "p95 s", "all s", title=title)
        for target in targets:
            found = await _burst(target, model, size)
            others = found.statuses.total() - found.statuses[200] - found.statuses[202]
            p50, p95 = (_percentile(found.seconds, share) for share in (50, 95))
            counts = (found.statuses[200], found.statuses[202], others, found.completed, found.billed)
            times = (p50, p95, found.whole_s)
            table.add_row(target.name, *map(str, counts), *(f"{seconds:.1f}" for seconds in times))
        Console(width=100).print(table)


async def _burst(target: ChatTarget, model: ScriptedModel, size: int) -> Burst:
    burst, before, names = Burst(), len(model.bill()), [f"burst-{uuid4().hex}" for _ in range(size)]
    async with _client() as http:
        begun = time.perf_counter()

        async def one(name: str) -> None:
            started = time.perf_counter()
            try:
                async with http.post(target.url, json=target.body(name)) as response:
                    await response.read()
            except (aiohttp.ClientError, TimeoutError):
                burst.statuses[_NO_ANSWER] += 1
                return
            burst.statuses[response.status] += 1
            burst.seconds.append(time.perf_counter() - started)
            is_completed = await _is_completed(http, target, name) if response.status == 202 else response.ok  # noqa: PLR2004
            burst.completed += is_completed  # two statements: `x += await …` reads x before the wait

        await asyncio.gather(*(one(name) for name in names))
        burst.whole_s = time.perf_counter() - begun
    burst.billed = len(model.bill()) - before
    return burst


async def _is_completed(http: aiohttp.ClientSession, target: ChatTarget, session: str) -> bool:
    """Return true if an accepted message is answered in the end."""
    end = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < end:
        async with http.get(f"{target.url}/{session}") as response:
            turns = (await response.json())["turns"] if response.ok else []
        if turns and turns[0]["status"] != "running":
            return bool(turns[0]["status"] == "completed")
        await asyncio.sleep(1)
    return False


async def _decisions(url: str, model: ScriptedModel, calls: int, approvals: int) -> None:
    """Approve at rest, then while so many model calls run or are queued."""
    model.script(default={})
    table = Table("calls running", "approvals", "p50 ms", "p95 ms", "slowest ms", title="decisions")
    async with _client() as http:
        for number in (0, calls):
            held = await asyncio.gather(*(_create_approval(http, url) for _ in range(approvals)))
            slow = [asyncio.create_task(_say(http, url, f"Think. [[delay {SLOW_S}]]")) for _ in range(number)]
            await _wait_until_running(model, min(number, Settings().model_concurrency))
            took = [await _approve(http, url, approval) for approval in held]
            under_way = sum(not each.done() for each in slow)
            figures = (_percentile(took, 50), _percentile(took, 95), max(took))
            table.add_row(str(under_way), str(approvals), *(f"{seconds * 1000:.0f}" for seconds in figures))
            await asyncio.gather(*slow)
    Console(width=140).print(table)


async def _wait_until_running(model: ScriptedModel, calls: int) -> None:
    """Wait until the provider processes so many calls, and the rest has had time to queue up."""
    end = time.perf_counter() + SLOW_S / 2
    while sum(call["state"] == "started" for call in model.bill()) < calls and time.perf_counter() < end:  # noqa: ASYNC110  (another process)
        await asyncio.sleep(0.2)
    await asyncio.sleep(SLOW_S / 6 if calls else 0)


async def _create_approval(http: aiohttp.ClientSession, url: str) -> str:
    """Create an approval and return it."""
    return str((await _say(http, url, "Go?", require_approval=True))["approval_id"])


async def _say(http: aiohttp.ClientSession, url: str, message: str, **more: Any) -> dict[str, Any]:
    async with http.post(url + CHAT, json={"agent_id": AGENT, "message": message, **more}) as response:
        response.raise_for_status()
        return dict(await response.json())


async def _approve(http: aiohttp.ClientSession, url: str, approval: str) -> float:
    begun = time.perf_counter()
    async with http.post(f"{url}/api/v1/approvals/{approval}/approve", json={}) as response:
        response.raise_for_status()
        await response.read()
    return time.perf_counter() - begun


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=PATIENCE_S)
    )


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1] if len(values) > 1 else values[0]


if __name__ == "__main__":
    main()

"""The latency of one tenant's chats while another one floods a provider that takes few calls at once.

`python -m bench.fairness [--flood 2000] [--at-once 20] [--answer-s 0.5] [--chats 40] [--workers 1]`. The reference are
the same chats on the same idle system, before the flood. Prints p50 and p95 of both, and their ratio. The calm tenant's
chats run one after the other, each in a session of its own, with a pause at random of an answer's time at most: the
flood's calls all take the same time, and a chat that followed the last one at once would always find them just begun.
The flood is queued before, and must outlast the chats.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
from rich.console import Console
from rich.table import Table

from bench.stage import Stage

AGENT = "ali_chief_of_staff"
ADMIN_KEY = "cvg_the-admin-of-the-benchmark"
CALM, FLOOD = "calm", "flood"


@dataclass(frozen=True)
class Options:
    """What is measured: the size of the flood, the provider's limit, and the chats of the calm tenant."""

    flood: int
    at_once: int
    answer_s: float
    chats: int
    workers: int


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--flood", type=int, default=2000)
    parser.add_argument("--at-once", type=int, default=20)
    parser.add_argument("--answer-s", type=float, default=0.5)
    parser.add_argument("--chats", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    given = Options(**vars(parser.parse_args()))
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        stage = Stage(stack, Path(directory))
        stage.model.script(default={"first_token_delay_s": given.answer_s})
        file = Path(directory) / "providers.yaml"
        limited = f"{{name: limited, base_url: {stage.model.url}, models: [scripted], concurrency: {given.at_once}}}"
        file.write_text(f"providers: [{limited}]\n")
        del stage.environment["OPENAI_BASE_URL"]
        stage.environment |= {"CONVERGIO_PROVIDERS": str(file), "CONVERGIO_ADMIN_KEY": ADMIN_KEY}
        url, _ = stage.system(workers=given.workers)
        _show(given, *asyncio.run(_measure(url, given)))


async def _measure(url: str, given: Options) -> tuple[list[float], list[float], int]:
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as http:
        calm, flood = await _key(http, CALM), await _key(http, FLOOD)
        await _talk(http, calm, 5, longest_pause_s=0)  # warm up
        idle = await _talk(http, calm, given.chats, longest_pause_s=given.answer_s)
        limit = asyncio.Semaphore(50)
        await asyncio.gather(*(_queue(http, flood, limit) for _ in range(given.flood)))
        busy = await _talk(http, calm, given.chats, longest_pause_s=given.answer_s)
        return idle, busy, await _left(http)


async def _key(http: aiohttp.ClientSession, tenant_id: str) -> dict[str, str]:
    """Create a tenant and a key in it; return the header that its calls have."""
    admin = {"X-API-Key": ADMIN_KEY}
    await _post(http, "/api/v1/tenants", admin, {"id": tenant_id, "name": tenant_id})
    body = {"name": tenant_id, "scopes": ["read", "write"], "tenant_id": tenant_id}
    return {"X-API-Key": str((await _post(http, "/api/v1/keys", admin, body))["key"])}


async def _talk(
    http: aiohttp.ClientSession, headers: dict[str, str], number: int, *, longest_pause_s: float
) -> list[float]:
    """Say so many things, one after the other; return the seconds that each took."""
    taken = []
    for _ in range(number):
        await asyncio.sleep(random.uniform(0, longest_pause_s))  # noqa: S311  (no secret)
        began = time.perf_counter()
        await _post(http, "/api/v1/agents/chat", headers, _message())
        taken.append(time.perf_counter() - began)
    return taken


async def _queue(http: aiohttp.ClientSession, headers: dict[str, str], limit: asyncio.Semaphore) -> None:
    async with limit:
        await _post(http, "/api/v1/agents/chat", headers, {**_message(), "wait": False})


async def _left(http: aiohttp.ClientSession) -> int:
    """Return the number of turns that have no answer yet, and of tasks that no worker has taken."""
    async with http.get("/metrics", headers={"X-API-Key": ADMIN_KEY}) as response:
        lines = (await response.text()).splitlines()
    waiting = [line for line in lines if line.startswith('convergio_turns_open{state="running"}')]
    queued = [line for line in lines if line.startswith("convergio_task_queue_backlog{")]
    return round(sum(float(line.rpartition(" ")[2]) for line in [*waiting, *queued]))


def _message() -> dict[str, Any]:
    return {"agent_id": AGENT, "message": "What first?", "context": {"session_id": uuid4().hex}, "timeout_s": 300}


async def _post(
    http: aiohttp.ClientSession, path: str, headers: dict[str, str], body: dict[str, Any]
) -> dict[str, Any]:
    async with http.post(path, json=body, headers=headers) as response:
        if not response.ok:
            raise RuntimeError(f"{path}: {response.status} {await response.text()}")
        return dict(await response.json())


def _show(given: Options, idle: list[float], busy: list[float], left: int) -> None:
    console = Console(width=120)
    title = f"{given.flood} chats of another tenant at a provider that takes {given.at_once} calls at once"
    table = Table("", "chats", "p50 s", "p95 s", "ratio of p95", box=None, title=title)
    figures = [_percentiles(taken) for taken in (idle, busy)]
    table.add_row("idle (reference)", str(len(idle)), *(f"{each:.3f}" for each in figures[0]), "")
    ratio = figures[1][1] / figures[0][1]
    table.add_row("during the flood", str(len(busy)), *(f"{each:.3f}" for each in figures[1]), f"{ratio:.2f}")
    console.print(table)
    console.print(f"turns and tasks of the flood that were open at the end: {left}")


def _percentiles(taken: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(taken, n=100)
    return cuts[49], cuts[94]


if __name__ == "__main__":
    main()

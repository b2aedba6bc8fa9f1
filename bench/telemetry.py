"""Telemetry at a steady rate beside chats: what is accepted, what is counted, what it costs, and what chats notice.

`python -m bench.telemetry [--rate 20000] [--seconds 10] [--clients 8] [--chats 5]`. Clients send batches of 1,000,
punctually, in a process of their own, while chats begin at a steady pace; before that the same chats run alone. A batch
that is refused (429) is not sent again. The reference is a bare COPY of the same rows into one table with the same
unique index. Exits with 1 if any event is half counted.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
import psutil
import psycopg
from rich.console import Console
from rich.table import Table

from bench.chat import ChatTarget
from bench.stage import ROLES, ROOT, Stage, cpu

BATCH = 1_000
TYPES = ("agent_response", "tool_call", "search", "page_view", "error")
AGENTS = 48
_ACCEPTED, _REFUSED = 202, 429
CONSOLE = Console(width=140)


@dataclass
class Sent:
    """The outcome of a client process: batches by status, events that were accepted, and seconds of each answer."""

    statuses: dict[str, int] = field(default_factory=dict)
    accepted: int = 0
    seconds: list[float] = field(default_factory=list)
    whole_s: float = 0.0


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rate", type=int, default=20_000)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--clients", type=int, default=8)
    options.add_argument("--chats", type=float, default=5, help="chats that begin in a second")
    options.add_argument("--url", help="(for itself) send to this system")
    given = options.parse_args()
    if given.url:
        sys.stdout.write(json.dumps(asyncio.run(_send(given.url, given.rate, given.seconds, given.clients)).__dict__))
        return
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        stage = Stage(stack, Path(directory))
        url, roles = stage.system()
        chats = ChatTarget("convergio", f"{url}/api/v1/agents/chat", roles)
        asyncio.run(_chat(chats, given.chats, 5))  # warm up
        before = cpu(roles)
        alone = asyncio.run(_chat(chats, given.chats, given.seconds))
        by_chats = {role: seconds - before[role] for role, seconds in cpu(roles).items()}
        command = [sys.executable, "-m", "bench.telemetry", "--url", url]
        for name in ("rate", "seconds", "clients"):
            command += [f"--{name}", str(getattr(given, name))]
        clients = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
        if clients.stdout is None or clients.stdout.readline() != b"ready\n":
            raise RuntimeError("the clients did not start")
        before = cpu(roles)
        beside = asyncio.run(_chat(chats, given.chats, given.seconds))
        sent = Sent(**json.loads(clients.communicate()[0]))
        used = {role: seconds - before[role] for role, seconds in cpu(roles).items()}
        dsn = stage.environment["DATABASE_URL"]
        _show(sent, {role: seconds - by_chats[role] for role, seconds in used.items()}, alone, beside)
        _show_reference(dsn, sent.accepted, roles["postgres"])
        _check(sent, _rows(dsn), asyncio.run(_count(url)))


def _bodies(batches: int) -> Iterator[bytes]:
    source = uuid4().hex
    for number in range(batches):
        yield orjson.dumps([_event(source, number * BATCH + n) for n in range(BATCH)])


def _event(source: str, n: int) -> dict[str, object]:
    return {
        "event_type": TYPES[n % len(TYPES)],
        "agent_id": f"agent_{n * 7 % AGENTS}",
        "duration_ms": n * 37 % 5_000,
        "tokens_used": n * 11 % 2_000,
        "success": n % 20 != 0,
        "metadata": {"model": "gpt-5-mini", "temperature": 0.7},
        "event_id": f"{source}-{n}",
    }


async def _send(url: str, rate: int, seconds: float, clients: int) -> Sent:
    """Send batches on time, each by the client whose turn it is; a client that is late sends at once."""
    bodies = list(_bodies(round(rate * seconds / BATCH)))
    sent, statuses, headers = Sent(), Counter[int](), {"content-type": "application/json"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        started = time.perf_counter()

        async def work(client: int) -> None:
            for number in range(client, len(bodies), clients):
                await asyncio.sleep(max(0.0, started + number * BATCH / rate - time.perf_counter()))
                begun = time.perf_counter()
                async with http.post(f"{url}/telemetry/events", data=bodies[number], headers=headers) as answer:
                    found = await answer.json()
                statuses[answer.status] += 1
                sent.seconds.append(time.perf_counter() - begun)
                sent.accepted += found["accepted"] if answer.status == _ACCEPTED else 0

        await asyncio.gather(*(work(client) for client in range(clients)))
        sent.whole_s = time.perf_counter() - started
    sent.statuses = {str(status): number for status, number in statuses.items()}
    return sent


async def _chat(target: ChatTarget, rate: float, seconds: float) -> list[float]:
    """Begin chats on time, each a new session of one turn. Returns the milliseconds of their answers."""
    times: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def say(at: float) -> None:
            await asyncio.sleep(max(0.0, at - time.perf_counter()))
            begun = time.perf_counter()
            async with http.post(target.url, json=target.body(uuid4().hex)) as answer:
                answer.raise_for_status()
                await answer.read()
            times.append((time.perf_counter() - begun) * 1000)

        started = time.perf_counter()
        await asyncio.gather(*(say(started + n / rate) for n in range(round(rate * seconds))))
    return times


async def _count(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{url}/telemetry/metrics?window=1h") as answer:
        return int((await answer.json())["totals"]["count"])


def _rows(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM telemetry_events").fetchone()
    return int(row[0]) if row else 0


def _show(sent: Sent, used: dict[str, float], alone: list[float], beside: list[float]) -> None:
    table = Table("batches accepted", "refused", "other", "events/s accepted", "p50 ms", "p95 ms", title="telemetry")
    accepted, refused = sent.statuses.get(str(_ACCEPTED), 0), sent.statuses.get(str(_REFUSED), 0)
    others = sum(sent.statuses.values()) - accepted - refused
    p50, p95 = (_percentile(sent.seconds, share) * 1000 for share in (50, 95))
    rate = sent.accepted / sent.whole_s
    table.add_row(str(accepted), str(refused), str(others), f"{rate:,.0f}", f"{p50:.0f}", f"{p95:.0f}")
    CONSOLE.print(table)
    chats = Table("", "chats", "p50 ms", "p95 ms", title="chats")
    for name, times in (("alone", alone), ("beside telemetry", beside)):
        figures = (f"{_percentile(times, share):.0f}" for share in (50, 95))
        chats.add_row(name, str(len(times)), *figures)
    chats.add_row("ratio", "", *(f"{_percentile(beside, share) / _percentile(alone, share):.2f}" for share in (50, 95)))
    CONSOLE.print(chats)
    each = Table("", *ROLES, title="CPU for telemetry: what is more than the same chats took alone")
    each.add_row("seconds", *(f"{used.get(role, 0.0):.2f}" for role in ROLES))
    each.add_row("µs per event", *(f"{used.get(role, 0.0) / max(1, sent.accepted) * 1e6:.1f}" for role in ROLES))
    CONSOLE.print(each)


def _show_reference(dsn: str, events: int, postgres: psutil.Process) -> None:
    """Copy as many rows into a table with the same unique index, in batches, each a transaction."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE bare (LIKE telemetry_events INCLUDING ALL)")
        before = cpu({"postgres": postgres})["postgres"]
        now, started, own = datetime.now(UTC), time.perf_counter(), time.process_time()
        for first in range(0, events, BATCH):
            with connection.cursor().copy("COPY bare FROM STDIN") as copy:
                for n in range(first, first + BATCH):
                    event = _event("bare", n)
                    figures = (event["duration_ms"], event["tokens_used"], event["success"], '{"model":"gpt-5-mini"}')
                    copy.write_row(
                        (now.date(), now, "default", uuid4(), event["event_type"], event["agent_id"], *figures)
                    )
        seconds, own = time.perf_counter() - started, time.process_time() - own
    served = cpu({"postgres": postgres})["postgres"] - before
    table = Table(
        "s", "events/s", "client µs", "postgres µs", title=f"reference: bare COPY of {events:,} rows, per event"
    )
    each = (f"{used / max(1, events) * 1e6:.1f}" for used in (own, served))
    table.add_row(f"{seconds:.1f}", f"{events / seconds:,.0f}", *each)
    CONSOLE.print(table)


def _check(sent: Sent, rows: int, shown: int) -> None:
    CONSOLE.print(f"accepted {sent.accepted:,}, rows {rows:,}, count shown {shown:,}")
    if not sent.accepted == rows == shown:
        raise SystemExit("some events are half counted")


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100)[share - 1]


if __name__ == "__main__":
    main()

"""Chat turns through the whole system, compared with a bare Temporal worker that does one update and one activity.

`python -m bench.chat [--seconds 10] [--sessions 1,16,64] [--rounds 2]`. Both run on the same servers at the same time
with the same scripted model of zero latency; load is put on one at a time. Prints turns/s, latency and the CPU seconds
of each process for 1,000 turns, with ratios.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
import psutil
from rich.console import Console
from rich.table import Table

from bench.stage import ROLES, Stage, cpu, memory

AGENT = "ali_chief_of_staff"
MESSAGE = "What should we do first this week, and why?"


@dataclass(frozen=True)
class ChatTarget:
    """A system under test: its URL, the form of a message, and its processes."""

    name: str
    url: str
    roles: Mapping[str, psutil.Process]

    def body(self, session: str) -> dict[str, object]:
        if self.name == "reference":
            return {"session_id": session, "message": MESSAGE}
        return {"agent_id": AGENT, "message": MESSAGE, "context": {"session_id": session}}


@dataclass
class ChatMeasurement:
    """The figures of one drive. Latencies in ms, CPU in seconds per 1,000 turns by role, memory in MiB."""

    turns: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.turns / self.seconds

    def percentile(self, share: float) -> float:
        return statistics.quantiles(self.latencies, n=100)[round(share * 100) - 1]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=8)
    options.add_argument("--sessions", default="1,16,64")
    options.add_argument("--rounds", type=int, default=2)
    given = options.parse_args()
    sessions = [int(number) for number in given.sessions.split(",")]
    with tempfile.TemporaryDirectory(prefix="convergio-bench-") as directory, ExitStack() as stack:
        Path(directory).chmod(0o755)
        targets = stack.enter_context(_targets(Path(directory)))
        found = asyncio.run(_measure(targets, sessions, given.seconds, given.rounds))
    _show(found, sessions)


async def _measure(
    targets: list[ChatTarget], sessions: list[int], seconds: float, rounds: int
) -> dict[tuple[str, int], list[ChatMeasurement]]:
    found: dict[tuple[str, int], list[ChatMeasurement]] = {}
    for target in targets:
        await drive(target, 8, 3)  # warm up
    for number in sessions:
        for _ in range(rounds):
            for target in targets:
                found.setdefault((target.name, number), []).append(await drive(target, number, seconds))
    return found


async def drive(target: ChatTarget, sessions: int, seconds: float) -> ChatMeasurement:
    """Run sessions that each send one message after the other. Their first turns, which open them, are not counted."""
    measured = ChatMeasurement()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        names = [uuid4().hex for _ in range(sessions)]
        await asyncio.gather(*(_say(http, target, name) for name in names))
        before, started = cpu(target.roles), time.perf_counter()
        end = started + seconds

        async def talk(name: str) -> None:
            while time.perf_counter() < end:
                begun = time.perf_counter()
                await _say(http, target, name)
                measured.latencies.append((time.perf_counter() - begun) * 1000)

        await asyncio.gather(*(talk(name) for name in names))
        measured.seconds = time.perf_counter() - started
    measured.turns = len(measured.latencies)
    measured.cpu = {role: (used - before[role]) / measured.turns * 1000 for role, used in cpu(target.roles).items()}
    measured.memory = memory(target.roles)
    return measured


async def _say(http: aiohttp.ClientSession, target: ChatTarget, session: str) -> None:
    async with http.post(target.url, json=target.body(session)) as response:
        if not response.ok:
            raise RuntimeError(f"{target.name}: {response.status} {await response.text()}")
        await response.read()


@contextmanager
def _targets(directory: Path) -> Iterator[list[ChatTarget]]:
    with ExitStack() as stack:
        stage = Stage(stack, directory)
        (bare, bare_roles), (url, roles) = stage.reference("bench.reference"), stage.system()
        yield [
            ChatTarget("reference", f"{bare}/chat", bare_roles),
            ChatTarget("convergio", f"{url}/api/v1/agents/chat", roles),
        ]


def _show(found: dict[tuple[str, int], list[ChatMeasurement]], sessions: list[int]) -> None:
    console = Console(width=140)
    table = Table("sessions", "", "turns/s", "p50 ms", "p95 ms", "p99 ms", "ratio", box=None, title="chat turn")
    used_cpu = Table("sessions", "", *ROLES, "sum", box=None, title="CPU seconds per 1,000 turns")
    for number in sessions:
        reference, system = found["reference", number], found["convergio", number]
        ratios = [ours.rate / theirs.rate for theirs, ours in zip(reference, system, strict=True)]
        for name, rounds in (("reference", reference), ("convergio", system)):
            ratio = f"{statistics.median(ratios):.2f}" if name == "convergio" else ""
            figures = [statistics.median(m.percentile(share) for m in rounds) for share in (0.5, 0.95, 0.99)]
            rate = statistics.median(m.rate for m in rounds)
            table.add_row(str(number), name, f"{rate:.1f}", *(f"{figure:.1f}" for figure in figures), ratio)
            used = {role: statistics.median(m.cpu.get(role, 0.0) for m in rounds) for role in ROLES}
            used_cpu.add_row(str(number), name, *(f"{used[role]:.2f}" for role in ROLES), f"{sum(used.values()):.2f}")
    console.print(table)
    console.print(used_cpu)
    held = Table("", *ROLES, box=None, title="memory, MiB, in the end")
    for name in ("reference", "convergio"):
        last = found[name, sessions[-1]][-1].memory
        held.add_row(name, *(f"{last.get(role, 0.0):.0f}" for role in ROLES))
    console.print(held)


if __name__ == "__main__":
    main()
